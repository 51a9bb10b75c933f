/* certificates.h: the certificate and key that all TLS of this server is by.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_CERTIFICATES_H
#define MAILD_CERTIFICATES_H

#include "../tls.h"

/* Reads the files that the settings name. Ends the process if it cannot. */
void certificates_open(void);

/* Reads them again. If that fails, the log says why, and what was there stays. Sessions keep what they began with. */
void certificates_reload(void);
void certificates_close(void);

/* NULL: there is no TLS. */
tls_context *certificates_context(void);

#endif
