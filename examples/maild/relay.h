/* relay.h: mail for other domains, from users who have logged in: passed on while it comes.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each session that has such mail has a connection of its own to the next server. A recipient's verdict is the next
 * server's, and so is the message's: it is answered when the next server has answered. Content goes on as it comes, and
 * no faster than the next server takes it. So nothing is queued here, nothing is lost, and nobody is told 250 but by
 * who really has the message.
 */
#ifndef MAILD_RELAY_H
#define MAILD_RELAY_H

#include "session.h"

/* Looks the next server up: "HOST:PORT". Ends the process if that cannot be one. */
void relay_open(const char *where);
/* Looks it up again. If that fails, the log says why, and its addresses stay. */
void relay_reload(void);
void relay_close(void);

/* Asks the next server about the recipient that was added last. The answer goes to its ticket. */
int relay_rcpt(struct session *session, ehlo_server *server, const ehlo_event *event);

/* DATA, BODY and MESSAGE of an envelope that is relayed. `header` goes in front of the content. */
int relay_data(struct session *session, ehlo_server *server, const ehlo_event *event, ehlo_span header);
int relay_body(struct session *session, ehlo_server *server, const ehlo_event *event);
int relay_verdict(struct session *session, ehlo_server *server, const ehlo_event *event);

/* Has the next server got the message, and not answered yet? */
int relay_is_unanswered(const struct session *session);

/* The transaction is over, in whatever way. */
void relay_end(struct session *session);

/* The session is: who is left says goodbye to the next server by himself. */
void relay_leave(struct session *session);

#endif
