/* xclient.h: what a trusted peer says of the client that it stands for (Postfix, XCLIENT).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_XCLIENT_H
#define MAILD_XCLIENT_H

#include "session.h"

int xclient_take(struct session *session, ehlo_server *server, const ehlo_event *event);

/* CONNECT and HELLO: whom the peer vouched for is logged in. */
void xclient_vouch(const struct session *session, ehlo_server *server);

#endif
