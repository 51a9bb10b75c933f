/* certificates.c: see certificates.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "certificates.h"

#include "settings.h"

#include <stdlib.h>
#include <sysexits.h>

static tls_context *context;

static tls_context *read_them(void)
{
  struct tls_server_options options = {.certificate = settings.tls_cert, .key = settings.tls_key};
  return tls_server_context(&options);
}

void certificates_open(void)
{
  if (settings.tls_cert == NULL)
    return;
  context = read_them();
  if (context != NULL)
    return;
  complain("--tls-cert", tls_error());
  exit(EX_NOINPUT);
}

void certificates_reload(void)
{
  tls_context *fresh = settings.tls_cert == NULL ? NULL : read_them();
  if (fresh == NULL) {
    if (settings.tls_cert != NULL)
      complain("--tls-cert: the one from before is used on", tls_error());
    return;
  }
  tls_context_free(context);
  context = fresh;
}

void certificates_close(void)
{
  tls_context_free(context);
  context = NULL;
}

tls_context *certificates_context(void)
{
  return context;
}
