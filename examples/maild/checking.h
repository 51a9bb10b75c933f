/* checking.h: asks a program whether there is a recipient.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_CHECKING_H
#define MAILD_CHECKING_H

#include "helper.h"

#include <ehlo.h>

/* Starts the program: a command for the shell. `seconds`: how long it may take for an answer. */
void checking_open(const char *command, unsigned seconds);
void checking_close(void);

/* Asks about a recipient. The answer comes by the callback, once, unless it is cancelled. Returns the question, the tag
 * for ehlo_server_defer and helper_cancel, or 0 if nothing can be asked now. */
uint64_t checking_ask(ehlo_span recipient, ehlo_span sender, const char *client, ehlo_span hello,
                      helper_answer_fn *done, void *owner, uint32_t ticket);

/* Gives the program's answer (NULL: there was none) to the session: "CODE [ENHANCED] [TEXT]". */
void checking_reply(ehlo_server *server, uint32_t ticket, const char *answer);

#endif
