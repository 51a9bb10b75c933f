/* login.h: AUTH: who is there.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_LOGIN_H
#define MAILD_LOGIN_H

#include "session.h"

/* AUTH by PLAIN or LOGIN: the credentials are complete. */
int login_check(struct session *session, ehlo_server *server, const ehlo_event *event);

/* A step of SCRAM. */
int login_step(struct session *session, ehlo_server *server, const ehlo_event *event);

/* The exchange is over, whatever came of it. */
void login_forget(struct session *session);

#endif
