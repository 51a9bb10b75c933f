/* client_transcript.h: sessions written down as text, and what replaying them against the client takes.
 *
 * client_transcript_read.c  text to sections, each one session
 * client_transcript_host.c  the host of a replay: it keeps to the documented loop and makes the calls that are written
 * client_transcript_laws.c  what must hold whatever is replayed: a small model of who waits for which reply
 * client_transcript.c       every way to replay a section, each held to the log of the first
 * transcript_shared.c       what the transcripts of the server use too
 *
 * The format is described in tests/transcripts/README.md.
 */
#ifndef EHLO_TESTS_CLIENT_TRANSCRIPT_H
#define EHLO_TESTS_CLIENT_TRANSCRIPT_H

#include "transcript_shared.h"

/* ---- what a transcript says ----------------------------------------------------------------- */

/* What the host calls. The first ones may stand in a handler. */
enum {
  CALL_HELLO,
  CALL_HELO,
  CALL_MAIL,
  CALL_SEND,
  CALL_SOML,
  CALL_SAML,
  CALL_RCPT,
  CALL_DATA,
  CALL_RSET,
  CALL_VRFY,
  CALL_EXPN,
  CALL_HELP,
  CALL_NOOP,
  CALL_QUIT,
  CALL_TURN,
  CALL_STARTTLS,
  CALL_AUTH,
  CALL_AUTH_BEGIN,
  CALL_ETRN,
  CALL_ATRN,
  CALL_BURL,
  CALL_XCLIENT,
  CALL_XFORWARD,
  CALL_COMMAND,
  CALL_BODY,
  CALL_BODY_END,
  CALL_AUTH_RESPOND,
  CALL_AUTH_CANCEL,
  CALL_SENT, /* no call of its own time: `drain: as written` decides when */
  CALL_BODY_ABORT,
  CALL_TLS_DONE,
  CALL_EOF,
  CALL_TIMED_OUT
};

struct call {
  int kind;               /* CALL_ */
  struct text argument;   /* a path, the argument of a command, the verb of CALL_COMMAND, content */
  struct text parameters; /* of MAIL and RCPT: the others; the argument of CALL_COMMAND */
  struct text options;    /* of MAIL and RCPT: those that go into fields */
  uint32_t smtputf8;      /* of VRFY and EXPN */
  struct text fields[4];  /* of AUTH: authzid, authcid, secret, host; of CALL_AUTH_BEGIN the initial response */
  /* CALL_SENT: octets, SIZE_MAX for all; BURL: 1 for the last; AUTH_BEGIN: 1 if there is an initial response; AUTH: the
   * port. */
  size_t number;
  int error; /* what it must return: EHLO_OK or EHLO_ERR_ */
};

enum {
  CLIENT_FEED,  /* the server sends octets */
  CLIENT_CALL,  /* the host calls something */
  CLIENT_FATAL, /* the handler will return -1 at an event */
  CLIENT_EXPECT /* what must have happened by now */
};

struct client_item {
  int kind; /* CLIENT_ */
  unsigned line;
  struct text octets; /* FEED: what is sent; EXPECT: what came out */
  struct call call;   /* CALL */
  uint32_t event;     /* FATAL: EHLO_CLIENT_EVENT_ */
  struct text events; /* EXPECT: "* " lines, each ended by LF */
  struct text states; /* EXPECT: "= " lines, each ended by LF */
};

struct client_items {
  struct client_item *items;
  size_t count;
};

struct client_section {
  char *file;
  char *title;
  unsigned line;
  int events_all;       /* "events: all" */
  int drain_as_written; /* "drain: as written" */
  int has_output_size;
  ehlo_client_config config;
  struct text hostname;
  struct client_items given; /* what brings the session to where the section begins */
  struct client_items script;
  size_t octets; /* of all CLIENT_FEED of the script together */
};

struct client_transcript {
  struct client_section *sections;
  size_t count;
};

/* Reads a file. 0, or -1 with a message on stderr. */
int client_transcript_read(struct client_transcript *transcript, const char *path);
void client_transcript_free(struct client_transcript *transcript);

/* ---- the laws ------------------------------------------------------------------------------- */

/* A reply that is to come; or with EHLO_VERB_NONE, where content by BDAT is to begin. */
struct due {
  uint32_t verb;
  uint64_t tag;
  uint32_t ordinal;
  size_t transaction; /* index; MAIL and its kin, RCPT, DATA or NONE, BDAT, BURL, MESSAGE, RESULT */
  int seen;           /* the command is on the wire */
  int one_trip;       /* AUTH that others may stand behind */
};

struct transaction {
  uint64_t tag;
  uint32_t called; /* recipients */
  uint32_t accepted;
  char *verdicts;  /* 1 at each recipient that was accepted */
  int refused;     /* MAIL was */
  int resumed;     /* MAIL was answered 355 */
  int is_binary;   /* MAIL said BODY=BINARYMIME */
  int by_chunks;   /* its content goes by BDAT */
  uint32_t failed; /* the code that refused a chunk, the first of them; 0: none was */
};

struct laws {
  const char *broken; /* the first law that was, or NULL */
  const ehlo_client *client;
  const ehlo_client_config *config;
  struct due *due;
  size_t due_count;
  size_t answered; /* of due, the first that is not */
  struct transaction *transactions;
  size_t transaction_count;
  size_t ended;       /* of transactions, the first that is not */
  uint32_t lines;     /* LINE events of the reply that is coming in */
  uint32_t line_code; /* their code */
  int greeted;
  int is_last_event; /* only END may follow: the session is over */
  int is_premature;  /* the reply that comes in refuses content too early */
  int has_quit;
  int dot_due;          /* LMTP: content ends though nobody gets it */
  int challenged;       /* the host is to respond */
  unsigned sasl_lines;  /* responses of AUTH that are still to leave */
  int unsent;           /* something that may leave has not been sent */
  struct text line;     /* of a command, as far as it is on the wire */
  int in_content;       /* the wire carries content */
  int content_broken;   /* by a call that failed in the middle */
  int chunked;          /* by BDAT */
  size_t chunk_left;    /* octets of the chunk that are still to come on the wire, */
  int last_chunk;       /* which says LAST */
  int ending;           /* LMTP: body_end waits for the chunks before it */
  size_t data;          /* of due, what began the content */
  size_t complete_at;   /* octets given when BURL came, which are complete lines; SIZE_MAX: none did */
  struct text given;    /* content, as the host gave it */
  struct text stuffed;  /* content, as it is on the wire; of chunks without their BDATs */
  unsigned long events; /* so far */
  unsigned long replies;
};

void laws_begin(struct laws *laws, const ehlo_client_config *config);
void laws_free(struct laws *laws);
void laws_break(struct laws *laws, const char *law);
/* A call returned EHLO_OK. */
void laws_called(struct laws *laws, const struct call *call, uint64_t tag);
/* An event comes. All octets of the output before it were told. */
void laws_event(struct laws *laws, const ehlo_client_event *event);
/* Octets are ready to be sent. */
void laws_wire(struct laws *laws, ehlo_span octets);
/* Between calls, while the session is not over. */
void laws_pause(struct laws *laws);
/* When all is over. */
void laws_end(struct laws *laws);

/* ---- one replay ----------------------------------------------------------------------------- */

/* When the host makes the calls that are written behind what the server sends. */
enum {
  CALLS_BEHIND, /* after feed has returned */
  CALLS_INLINE  /* in the handler of the last event */
};

/* How the host drains. Before more of the server's octets are fed it always does: sent is to be called before the
 * answer is fed. */
enum {
  CLIENT_DRAIN_WHOLE, /* all at once, where the transcript looks */
  CLIENT_DRAIN_OCTET, /* the same, one octet at a time */
  CLIENT_DRAIN_EAGER, /* after every call, also in the handler */
  CLIENT_DRAIN_LATE   /* only where nothing else can go on */
};

/* How the host gives content. */
enum { BODY_WHOLE, BODY_OCTETS, BODY_GATHER };

/* One way to replay a section. */
struct client_way {
  int calls;            /* CALLS_ */
  int drains;           /* CLIENT_DRAIN_ */
  int body;             /* BODY_ */
  int moves;            /* move the block at every pause */
  uint32_t output_size; /* where the section does not say */
};

enum { CUT_NONE = -1, CUT_EVERYWHERE = -2 };

/* A turn begins with each piece that the server sends. */
struct client_turn {
  struct text states; /* at its end; empty if calls still wait for room */
  unsigned events;    /* that came while the server's octets were fed */
};

/* What a replay left behind. */
struct client_log {
  struct text text; /* events and octets */
  struct client_turn *turns;
  size_t count;
  size_t room; /* turns whose texts are kept for the next replay: memory is slow under sanitizers */
};

void client_log_free(struct client_log *log);

/* Replays a section one way, the octets of the server cut at offsets `first` and `second` (CUT_). `reference` is the
 * log of a plain replay; NULL for that itself, and then what the transcript expects must happen. Gives the log, and
 * returns 0; or -1 with a message in `trouble` if a law was broken, the session got stuck, or an expectation was not
 * met. */
int client_transcript_replay(const struct client_section *section, const struct client_way *way, long first,
                             long second, const struct client_log *reference, struct client_log *log,
                             struct text *trouble);

/* ---- all replays ---------------------------------------------------------------------------- */

transcript_test_fn client_transcript_test;

#endif
