/* dot.h: dot-stuffing for those who know their processor. Floor: mechanism. */
#ifndef EHLO_MECHANISM_DOT_H
#define EHLO_MECHANISM_DOT_H

#include "ehlo/content.h"

/* ehlo_dot_init with a kernel that ehlo_scan_kernel told before: asking the processor is slow, on a virtual machine as
 * slow as a whole short session. */
void ehlo_dot_begin(ehlo_dot *dot, uint32_t flags, unsigned kernel);

#endif
