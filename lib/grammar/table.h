/* table.h: the four tables of the protocol, and how to ask them. Floor: grammar.
 *
 * commands.def, extensions.def, parameters.def and replies.def say the facts; this turns each into a constant array
 * without pointers (texts lie in one pool, at offsets), so that nothing needs relocation and all of it stays read-only.
 */
#ifndef EHLO_GRAMMAR_TABLE_H
#define EHLO_GRAMMAR_TABLE_H

#include "../bytes/span.h"
#include "ehlo/grammar.h"

/* May an argument follow the verb? */
enum { ARGUMENT_NO, ARGUMENT_MAY, ARGUMENT_MUST };

/* The states of the transaction in which a command can be legal, as bits. */
enum { LEGAL_OPEN = 1, LEGAL_IDLE = 2, LEGAL_MAIL = 4, LEGAL_RCPT = 8, LEGAL_CHUNKS = 16 };

/* The first digits of replies, as bits; and that of the positive ones only the code of `accept` is legal. */
enum { ANSWER_EXACT = 1, DIGIT_2 = 1 << 2, DIGIT_3 = 1 << 3, DIGIT_4 = 1 << 4, DIGIT_5 = 1 << 5 };

/* Where in a pipelined group a command may stand. */
enum { GROUP_ANYWHERE, GROUP_LAST };

/* `extension` of commands that need none. */
enum { EXTENSION_ALWAYS = 255 };

/* Rows of replies.def. */
enum {
#define REPLY(id, code, subject, detail, text) REPLY_##id,
#include "replies.def"
#undef REPLY
  REPLY_ROWS
};

struct command_row {
  uint8_t argument;     /* ARGUMENT_ */
  uint8_t states;       /* LEGAL_ bits */
  uint8_t extension;    /* EHLO_EXT_, or EXTENSION_ALWAYS */
  uint8_t answers;      /* DIGIT_ bits, ANSWER_EXACT */
  uint8_t silence;      /* REPLY_ */
  uint8_t accept_reply; /* REPLY_ */
  uint16_t accept;      /* code */
  uint8_t group;        /* GROUP_ */
};

struct extension_row {
  uint8_t offered; /* by a new config */
  uint16_t mail;   /* octets added to a MAIL line */
  uint16_t rcpt;   /* octets added to an RCPT line */
};

enum { VALUE_NONE, VALUE_SOME };

struct parameter_row {
  uint8_t extension; /* EHLO_EXT_ */
  uint8_t verb;      /* EHLO_VERB_MAIL or EHLO_VERB_RCPT */
  uint8_t value;     /* VALUE_ */
};

struct reply_row {
  uint16_t code;
  uint8_t subject;
  uint8_t detail;
};

extern const struct command_row ehlo_commands[EHLO_VERB_COUNT];
extern const struct extension_row ehlo_extensions[EHLO_EXT_COUNT];
extern const struct parameter_row ehlo_parameters[]; /* by EHLO_PARAMETER_, row 0 unused */
extern const struct reply_row ehlo_replies[REPLY_ROWS];

static inline int verb_is_hello(uint32_t verb)
{
  return verb >= EHLO_VERB_HELO && verb <= EHLO_VERB_LHLO;
}

/* Is it one of the verbs that open a transaction? */
static inline int verb_opens_transaction(uint32_t verb)
{
  return verb >= EHLO_VERB_MAIL && verb <= EHLO_VERB_SAML;
}

/* The EHLO keyword of an extension. Static. */
ehlo_span ehlo_extension_word(uint32_t extension);

/* The extension whose keyword, in any case, stands at the front of a line, alone or before a space; EHLO_EXT_COUNT if
 * it is none of ours. */
uint32_t ehlo_extension_find(ehlo_span line);

/* The default row for a code: the first in the table that has it; REPLY_ROWS if none. */
unsigned ehlo_reply_find(unsigned code);

/* A row as a whole last line, enhanced code and CRLF included; but for the class of the enhanced code, the octet at 4,
 * which is to be the same as the first. Static. */
ehlo_span ehlo_reply_row_line(unsigned row);

/* The text of a row. Static. */
ehlo_span ehlo_reply_text(unsigned row);

#endif
