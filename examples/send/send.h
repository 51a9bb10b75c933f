/* send.h: what the files of send share.
 *
 * SPDX-License-Identifier: MIT
 *
 *     send.c      one message after the other, the exit code
 *     options.c   the command line
 *     connect.c   where the server is, what this host is called, waiting
 *     message.c   what must be known of a file before it is offered, and its content
 *     session.c   the dialogue: the host of the library's client
 *     secure.c    TLS
 *     auth.c      AUTH; scram.c: what is said in SCRAM
 *     report.c    what is told of all that
 */
#ifndef SEND_SEND_H
#define SEND_SEND_H

#include "../common.h"
#include "../tls.h"

#include <limits.h>
#include <sys/stat.h>

enum {
  TEXT_SIZE = 512,               /* more of a reply is not shown */
  NAME_SIZE = 1025,              /* of a host: NI_MAXHOST */
  MESSAGE_PIECE = 65536,         /* content is read in pieces that stay in the processor's cache */
  MOST_SECONDS = INT_MAX / 1000, /* poll counts milliseconds */
};

enum {
  TLS_TRY, /* by STARTTLS, if it is to be had */
  TLS_OFF,
  TLS_REQUIRE, /* by STARTTLS, and with a server that is verified */
  TLS_AT_ONCE  /* before a word is said (RFC 8314) */
};

struct secure_settings {
  int use;          /* TLS_ */
  int insecure;     /* any certificate will do */
  const char *name; /* whom to expect; NULL: whom --server names */
  struct tls_client_options options;
  tls_context *context;
};

struct auth_settings {
  int wanted;
  int in_clear;       /* without TLS too */
  uint32_t mechanism; /* EHLO_SASL_; 0: the strongest that both know */
  const char *user;
  const char *pass_file;
  char *pass; /* where it stands on the command line */
};

/* What the command line said, but for messages and envelope. */
struct settings {
  ehlo_client_config config; /* without a hostname: this host's own name */
  const char *server;
  struct secure_settings secure;
  struct auth_settings auth;
  uint32_t timeout;    /* seconds, at most MOST_SECONDS */
  const char *xclient; /* whom this host stands for, or NULL */
  int trace;           /* show the dialogue */
  int progress;        /* show how far a large message has got */
};
extern struct settings settings;

/* An answer of the server, or what is said in place of one. */
struct outcome {
  uint32_t code; /* 0: none yet */
  ehlo_enhanced enhanced;
  char text[TEXT_SIZE];
};

struct recipient {
  const char *address;
  ehlo_rcpt_parameters parameters;
  struct outcome outcome;
  int put_off; /* by that outcome, perhaps only to a further transaction */
};

struct envelope {
  const char *from;
  struct recipient *recipients;
  size_t count;
  int smtputf8;                    /* an address or the header is in UTF-8 */
  ehlo_mail_parameters parameters; /* but for what the message decides */
};

struct message {
  const char *name;
  int fd;             /* -1: not open */
  int kept;           /* fd stays open: standard input, or a copy of what can be read but once */
  struct stat status; /* of the file as it was examined */
  uint64_t size;
  uint64_t wire_size; /* with every line ending in CRLF */
  int has_8bit, has_bare_cr, lacks_end;
  int is_binary; /* goes out octet by octet: BODY=BINARYMIME */
};

/* ---- options.c ---- */

/* What does not do ends the process. Returns the index of the first FILE. `envelope` has room for argc recipients. */
int read_options(struct envelope *envelope, int argc, char **argv);

/* Frees what they are kept in. */
void forget_options(void);

/* ---- connect.c ---- */

/* Connects to HOST:PORT or to the path of a Unix socket. Returns a descriptor that never blocks; or -1, and *why says
 * what a recipient is to be told. What is neither is bad usage. */
int connect_to(const char *where, struct outcome *why);

/* Of the server that was connected to last: whom a certificate has to be for, as addresses_look_up has it, and the
 * port, 0 if there is none. */
const char *server_name(void);
uint32_t server_port(void);

/* What this host calls itself: its name; or if it has none that others could use, its address on that connection as a
 * literal (RFC 5321 4.1.4). In a static buffer. */
const char *own_name(int fd);

/* Can EHLO say it: a domain or an address literal? */
int is_hello_name(const char *name);

/* Milliseconds of a clock that is never set. */
int64_t milliseconds(void);

/* When so many seconds have passed, or what --timeout allows if that is less; 0 are no limit of the caller's. */
int64_t deadline_after(uint32_t seconds);

/* Waits until one of `events` (POLLIN, POLLOUT) is there, or the connection is broken. Returns what poll said, 0 at the
 * deadline. */
short wait_until(int fd, short events, int64_t deadline);

/* ---- message.c ---- */

/* Finds out what MAIL has to say of the file (-: standard input). One that is no message is bad usage. */
void message_examine(struct message *message, const char *name);

/* Opens it for reading; to be closed again. Returns NULL, or why not. */
const char *message_open(struct message *message);
void message_close(struct message *message);

/* Reads the piece that begins at `offset`, at most MESSAGE_PIECE octets. It is there until the next call of any
 * function here. At the end it is empty. Returns NULL, or why the file cannot be read as it was examined; that of the
 * last piece holds for all of them. */
const char *message_read(const struct message *message, uint64_t offset, ehlo_span *piece);
extern const char message_changed[];

/* ---- session.c ---- */

/* Which command is due. */
enum next {
  NEXT_NONE,  /* what was asked for is over */
  NEXT_REPLY, /* none until the server has said more */
  NEXT_HELLO,
  NEXT_STARTTLS,
  NEXT_XCLIENT,
  NEXT_AUTH,
  NEXT_MAIL,
  NEXT_RCPT,
  NEXT_DATA,
  NEXT_RSET,
  NEXT_QUIT
};

/* A connection, with what was noted of the dialogue. All zero but `over` is the beginning. */
struct session {
  struct stream stream;
  ehlo_client *client; /* NULL: there is no connection */
  uint32_t mails;      /* so many MAILs on it */
  int full;            /* the server takes no more of them on one connection */
  uint32_t violation;  /* EHLO_VIOLATION_, also when it is closed */
  int broken;          /* that kept an outcome from being decided */
  struct outcome over; /* why nothing more can be sent; code 0: it can */
  int tls_failed;      /* that is why */
  int in_clear;        /* it was tried, and is not tried again */
  int locked_out;      /* the login failed, or there could be none */
  uint32_t mechanism;  /* EHLO_SASL_: of the login */
  int secret;          /* what is in the output belongs to it */

  struct envelope *envelope; /* of the open transaction */
  struct message *message;
  enum next next;
  size_t recipient;       /* the next to be asked about */
  uint64_t offset;        /* how much of the message the library has been given */
  size_t content;         /* octets of it at the front of the output */
  int needs_reset;        /* by RSET before the next MAIL */
  struct outcome reply;   /* the one that is being read, all its lines */
  struct outcome decided; /* what holds for all recipients that have no answer of their own */

  uint64_t epoch; /* of the library's clock */
  int64_t deadline;
};

/* Connects, says hello, goes under TLS, logs in. Whether that went well is in session->over. */
void session_open(struct session *session);

/* Sends a message, in as many transactions as the server wants for so many recipients. In the end each of them has an
 * outcome. Where there could be no session it is that of session->over; session_open need not have been called. */
void session_send(struct session *session, struct envelope *envelope, struct message *message);

/* Says QUIT, if there is anybody left to hear it, and closes the connection. */
void session_close(struct session *session);

/* ---- secure.c ---- */

/* Makes the context that the options ask for. What does not fit together, or cannot be read, ends the process. */
void secure_prepare(const struct envelope *envelope);
void secure_end(void);

/* Behind hello: is it time for STARTTLS? If there can be none where it is required, session->over says so. */
int secure_is_due(struct session *session);

/* Shakes hands. Returns 0 if that fails, or the server is not who it should be: session->over says so. */
int secure_begin(struct session *session);

/* STARTTLS was refused, as session->reply has it. */
void secure_refused(struct session *session);

/* The handshake failed: is it left at that, or is there to be another connection, in clear? */
int secure_falls_back(struct session *session);

/* ---- auth.c ---- */

/* The mechanism of a name on the command line. */
uint32_t auth_mechanism(const char *name);

/* Takes the password. What does not fit together ends the process. To be called before secure_prepare, for a login may
 * require TLS. */
void auth_prepare(void);

/* Wipes it. */
void auth_end(void);

/* Says AUTH. Returns EHLO_OK; or EHLO_ERR_REFUSED, and session->over says why there is no login. */
int auth_begin(struct session *session);

/* The server has said more. */
void auth_challenge(struct session *session, const ehlo_client_event_challenge *challenge);
void auth_reply(struct session *session);

/* ---- report.c ---- */

/* An outcome that no server said: "what: why". */
void outcome_say(struct outcome *outcome, uint32_t code, uint16_t subject, uint16_t detail, const char *what,
                 const char *why);

/* What the library did not let out because this server could not take it, as a server would put it. Returns 0 if the
 * error is another. */
int outcome_refuse(struct outcome *outcome, int error, const char *what);

/* Writes a line for each recipient to standard output. Returns the exit code that this makes of the one so far. */
int report(const struct envelope *envelope, int status);

/* Did standard output not take what was written to it? The first time that it does not there is a complaint. */
int output_lost(void);

/* How far a message has got. */
void show_progress(const struct message *message, uint64_t offset);

/* --trace: octets as they went out; that there were those of a message between them, or some that are not shown; what
 * TLS there is; a line of the server. */
void trace_sent(const char *octets, size_t size);
void trace_content(const struct message *message);
void trace_secret(const char *what, const char *which);
void trace_tls(const char *protocol, const char *cipher, const char *doubt);
void trace_line(ehlo_span line);

#endif
