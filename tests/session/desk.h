/* desk.h: a small host for tests that call the client by themselves, and what they let a server say. */
#ifndef EHLO_TESTS_DESK_H
#define EHLO_TESTS_DESK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ehlo.h"

#define GREETING   "220 mail.example.org ESMTP\r\n"
#define PIPELINING "250-mail.example.org\r\n250-SIZE 1000000\r\n250 PIPELINING\r\n"
#define LOCKSTEP   "250-mail.example.org\r\n250 SIZE 1000000\r\n"
#define ALL_OFFERED                                                                                            \
  "250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SEND\r\n"    \
  "250-SOML\r\n250-SAML\r\n250-TURN\r\n250-EXPN\r\n250-VRFY\r\n250-HELP\r\n250-STARTTLS\r\n250-AUTH EXTERNAL " \
  "X-OWN\r\n"                                                                                                  \
  "250-ETRN\r\n250-ATRN\r\n250-BURL\r\n250-XCLIENT NAME\r\n250-XFORWARD NAME\r\n250 ENHANCEDSTATUSCODES\r\n"

#define MAIL_LINE "MAIL FROM:<alice@example.com>\r\n"
#define RCPT_LINE "RCPT TO:<bob@example.org>\r\n"

struct desk {
  ehlo_client *client;
  char *block; /* with a margin behind it */
  size_t size;
  void (*in_handler)(struct desk *, const ehlo_client_event *);
  uint32_t fatal_at; /* the event for which the handler returns `fatal` */
  int fatal;
  int over; /* no event may come any more */

  unsigned count[8];             /* events so far, by type */
  ehlo_client_event_reply reply; /* the last ones */
  ehlo_client_event_end end;
  ehlo_client_event_violation violation;
  ehlo_client_event_challenge challenge;
  uint64_t reply_tag, end_tag;
};

/* A config with the defaults and a host name. */
ehlo_client_config desk_config(void);

/* The same with as little output as can be: without the extensions that make commands longer. */
ehlo_client_config desk_small_config(void);

/* The handler of a desk, which `user` is. */
int desk_on_event(ehlo_client *client, const ehlo_client_event *event, void *user);

/* Makes a session. NULL stands for desk_config(). */
void desk_open(struct desk *desk, const ehlo_client_config *config);
void desk_close(struct desk *desk);

/* Makes a session and brings it behind HELLO, to which the server says what is `offered`. */
void desk_begin(struct desk *desk, const ehlo_client_config *config, const char *offered);

/* Feeds a string, nothing being sent before. */
void desk_hear(struct desk *desk, const char *string);

/* What is to be sent. */
ehlo_span desk_output(const struct desk *desk);

/* This, and nothing else, is to be sent; it is. */
void desk_expect_at(struct desk *desk, const char *expected, const char *file, int line);
#define desk_expect(desk, expected) desk_expect_at((desk), (expected), __FILE__, __LINE__)

/* Everything that is to be sent has been. */
void desk_send_all(struct desk *desk);

/* Sends what there is, and hears the answer. */
void desk_answer(struct desk *desk, const char *string);

/* The calls for MAIL_LINE and RCPT_LINE. They return what the calls do. */
int desk_mail(struct desk *desk, uint64_t tag);
int desk_rcpt(struct desk *desk, uint64_t tag);

/* MAIL, RCPT and DATA, with the tags 2, 3 and 4. All must be let out. */
void desk_transaction(struct desk *desk);

#endif
