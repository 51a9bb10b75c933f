/* transcript.h: sessions written down as text, and what replaying them against the server takes.
 *
 * transcript_read.c    text to sections, each one session
 * transcript_host.c    the host of a replay: it keeps to the documented loop, answers as written, and watches the laws
 * transcript_parameters.c  the values of MAIL and RCPT, in words
 * transcript_secrets.c     the events of AUTH and its kin in words, and what of their secrets is left in a block
 * transcript.c         every way to replay a section, each held to the log of the first
 * transcript_shared.c  what the transcripts of the client use too
 *
 * The format is described in tests/transcripts/README.md.
 */
#ifndef EHLO_TESTS_TRANSCRIPT_H
#define EHLO_TESTS_TRANSCRIPT_H

#include "transcript_shared.h"

/* ---- what a transcript says ---------------------------------------------------------------------------------------
 */

enum { MAX_ANSWER_LINES = 8 };

enum { ANSWER_ACCEPT, ANSWER_CODE, ANSWER_CHALLENGE, ANSWER_SILENT, ANSWER_DEFER, ANSWER_FAIL, ANSWER_FATAL };

struct answer {
  int kind; /* ANSWER_ */
  int code;
  size_t lines; /* of ANSWER_CODE, at least 1; of ANSWER_CHALLENGE, 1 */
  struct answer_line {
    char enhanced[12]; /* empty: none given */
    char *text;
    size_t length;
  } line[MAX_ANSWER_LINES];
};

enum {
  ITEM_SEND,   /* the client sends octets */
  ITEM_POLICY, /* the host will answer an event so */
  ITEM_ACTION, /* the host does something */
  ITEM_EXPECT  /* what must have happened by now */
};

enum {
  ACTION_ANSWER,
  ACTION_RESUME,
  ACTION_EOF,
  ACTION_LOST,
  ACTION_SHUTDOWN,
  ACTION_TIMED_OUT,
  ACTION_OFFER,
  ACTION_TLS_DONE,
  ACTION_AUTHORIZE,
  ACTION_SENT
};

struct item {
  int kind; /* ITEM_ */
  unsigned line;
  struct text octets; /* SEND: what is sent; EXPECT: the replies; ACTION_AUTHORIZE: the name */

  uint32_t event;       /* POLICY: EHLO_EVENT_ */
  unsigned count;       /* POLICY: how many of them */
  int action;           /* ACTION: ACTION_ */
  uint64_t number;      /* ACTION: the deferred ask (from 1), the extension, or a count of octets */
  int on;               /* ACTION_OFFER */
  struct answer answer; /* POLICY, ACTION_ANSWER, ACTION_SHUTDOWN */

  struct text events;  /* EXPECT: "* " lines, each ended by LF */
  struct text states;  /* EXPECT: "= " lines, each ended by LF */
  struct text content; /* EXPECT: "D: " lines */
  int has_content;
};

/* The texts that a config points to, its host name among them. */
enum { CONFIG_TEXTS = 11 };

struct section {
  char *file; /* shared by the sections of a file */
  char *title;
  unsigned line;
  int is_lmtp;
  int events_all;       /* "events: all" */
  int drain_as_written; /* "drain: as written" */
  int has_max_pending;
  int has_output_size;
  int under_tls; /* from before the greeting on */
  int verified;  /* the client shows a certificate in the handshake */
  ehlo_server_config config;
  struct text texts[CONFIG_TEXTS]; /* of the config */
  struct text given; /* octets that bring the session to where the section begins, a CRLF behind each command */
  struct item *items;
  size_t count;
  size_t octets; /* of all ITEM_SEND together */
};

struct transcript {
  struct section *sections;
  size_t count;
};

/* Reads a file. 0, or -1 with a message on stderr. */
int transcript_read(struct transcript *transcript, const char *path);
void transcript_free(struct transcript *transcript);

/* The text of a config with this number, below CONFIG_TEXTS. */
ehlo_span *config_text(ehlo_server_config *config, size_t number);

/* ---- one replay -----------------------------------------------------------------------------------------------------
 */

/* When the host answers what a transcript lets it answer by itself. */
enum {
  ANSWER_INLINE, /* in the handler */
  ANSWER_SOON,   /* deferred, and answered as soon as the call returned */
  ANSWER_LATE,   /* deferred, and answered only when nothing else can go on, first asked first */
  ANSWER_REVERSE /* the same, last asked first */
};

/* How the host drains. */
enum {
  DRAIN_WHOLE, /* all at once, where the transcript looks at the replies or nothing else can go on */
  DRAIN_OCTET, /* the same, one octet at a time */
  DRAIN_EAGER  /* after every call */
};

/* One way to replay a section. */
struct way {
  int answers;          /* ANSWER_INLINE ... */
  int drains;           /* DRAIN_ */
  int moves;            /* move the block at every pause */
  uint32_t max_pending; /* where the section does not say */
  uint32_t output_size; /* where the section does not say */
};

enum { CUT_NONE = -1, CUT_EVERYWHERE = -2 };

/* Replays a section one way, the octets of the client cut at offsets `first` and `second` (CUT_). Gives the log, and
 * returns 0; or -1 with a message in `trouble` if a law was broken or the session got stuck, and, with `check`, if
 * what the transcript expects did not happen. */
int transcript_replay(const struct section *section, const struct way *way, long first, long second, int check,
                      struct text *log, struct text *trouble);

/* The fields of AUTH, STEP, ETRN, ATRN, BURL, XCLIENT and XFORWARD; nothing for other events. */
void print_extension_event(struct text *out, const ehlo_event *event);

/* The name of a mechanism; "OTHER" for those that are the host's. */
const char *mechanism_name(uint32_t mechanism);

/* The values of the parameters of MAIL and RCPT, a space before each: what is said, and nothing else. */
void print_mail_parameters(struct text *out, const ehlo_mail_parameters *parameters);
void print_rcpt_parameters(struct text *out, const ehlo_rcpt_parameters *parameters);

/* ---- secrets --------------------------------------------------------------------------------------------------------
 */

/* What the host was told and nobody else may see: passwords, tokens, responses, as they are and as the wire had them;
 * each of four octets or more, with its length before it as a size_t. */
void secrets_add(struct text *secrets, const ehlo_event *event);

/* Does one of them stand in the octets, but for those of `exempt`? */
int secrets_are_in(const struct text *secrets, const char *octets, size_t size, ehlo_span exempt);

/* ---- all replays ----------------------------------------------------------------------------------------------------
 */

transcript_test_fn transcript_test;

#endif
