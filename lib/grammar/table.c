/* table.c: the four tables of the protocol as constant arrays. Floor: grammar.
 *
 * Names and texts lie in pools: structs with one array of characters for each row, so that a row's text is found by
 * the offset of its array. An array of pointers would need relocation in a shared library, and with it writable memory.
 */
#include "table.h"

#include <string.h>

#define PASTE(a, b) a##b

/* ---- commands ---- */

#define O               LEGAL_OPEN
#define I               LEGAL_IDLE
#define M               LEGAL_MAIL
#define R               LEGAL_RCPT
#define C               LEGAL_CHUNKS
#define D2              DIGIT_2
#define D3              DIGIT_3
#define D4              DIGIT_4
#define D5              DIGIT_5
#define E2              (DIGIT_2 | ANSWER_EXACT)
#define E3              (DIGIT_3 | ANSWER_EXACT)
#define EHLO_EXT_ALWAYS EXTENSION_ALWAYS

const struct command_row ehlo_commands[EHLO_VERB_COUNT] = {
#define COMMAND(id, wire, argument_, states_, extension_, silence_, answers_, accept_, accept_reply_, group_) \
  [EHLO_VERB_##id] = {.argument = PASTE(ARGUMENT_, argument_),                                                \
                      .states = states_,                                                                      \
                      .extension = PASTE(EHLO_EXT_, extension_),                                              \
                      .answers = answers_,                                                                    \
                      .silence = REPLY_##silence_,                                                            \
                      .accept_reply = REPLY_##accept_reply_,                                                  \
                      .accept = accept_,                                                                      \
                      .group = PASTE(GROUP_, group_)},
#include "commands.def"
#undef COMMAND
};

struct verb_pool {
#define COMMAND(id, wire, argument, states, extension, silence, answers, accept, accept_reply, group) \
  char PASTE(at_, id)[sizeof wire];
#include "commands.def"
#undef COMMAND
};

static const struct verb_pool verb_pool = {
#define COMMAND(id, wire, argument, states, extension, silence, answers, accept, accept_reply, group) wire,
#include "commands.def"
#undef COMMAND
};

static const uint8_t verb_offsets[] = {
#define COMMAND(id, wire, argument, states, extension, silence, answers, accept, accept_reply, group) \
  offsetof(struct verb_pool, PASTE(at_, id)),
#include "commands.def"
#undef COMMAND
};

_Static_assert(sizeof verb_offsets == EHLO_VERB_COUNT, "commands.def and EHLO_VERB_ have the same rows");
_Static_assert(sizeof verb_pool <= 255, "verb offsets fit an octet");

const char *ehlo_verb_name(uint32_t verb)
{
  return verb < EHLO_VERB_COUNT ? (const char *)&verb_pool + verb_offsets[verb] : "?";
}

/* ---- extensions ---- */

const struct extension_row ehlo_extensions[EHLO_EXT_COUNT] = {
#define EXTENSION(id, keyword, default_, mail_, rcpt_) \
  [EHLO_EXT_##id] = {.offered = default_, .mail = mail_, .rcpt = rcpt_},
#include "extensions.def"
#undef EXTENSION
};

struct extension_pool {
#define EXTENSION(id, keyword, default_, mail_, rcpt_) char PASTE(at_, id)[sizeof keyword];
#include "extensions.def"
#undef EXTENSION
};

static const struct extension_pool extension_pool = {
#define EXTENSION(id, keyword, default_, mail_, rcpt_) keyword,
#include "extensions.def"
#undef EXTENSION
};

static const uint16_t extension_offsets[] = {
#define EXTENSION(id, keyword, default_, mail_, rcpt_) offsetof(struct extension_pool, PASTE(at_, id)),
#include "extensions.def"
#undef EXTENSION
    sizeof(struct extension_pool)};

_Static_assert(sizeof extension_offsets == (EHLO_EXT_COUNT + 1) * sizeof(uint16_t),
               "extensions.def and EHLO_EXT_ have the same rows");

const char *ehlo_extension_keyword(uint32_t extension)
{
  return extension < EHLO_EXT_COUNT ? (const char *)&extension_pool + extension_offsets[extension] : "?";
}

ehlo_span ehlo_extension_word(uint32_t extension)
{
  return span_of((const char *)&extension_pool + extension_offsets[extension],
                 (size_t)(extension_offsets[extension + 1] - extension_offsets[extension]) - 1);
}

static uint32_t load_letters(const char *at)
{
  uint32_t letters;
  memcpy(&letters, at, sizeof letters);
  return letters;
}

/* Does the whole keyword, in any case, stand at the front of the line? */
static int begins_with(ehlo_span line, ehlo_span word)
{
  if (line.len < word.len || (line.len > word.len && line.ptr[word.len] != ' ')) {
    return 0;
  }
  return memcmp(line.ptr, word.ptr, word.len) == 0 || ehlo_span_equal_nocase(span_of(line.ptr, word.len), word);
}

/* No two keywords begin with the same four octets. None has less than three; to one of three its NUL is the fourth,
 * which stands for the end of the line too and, as case is one bit that is not looked at, for a space. What differs in
 * that bit alone is sorted out by looking at all of the keyword. */
uint32_t ehlo_extension_find(ehlo_span line)
{
  const char *pool = (const char *)&extension_pool;
  uint32_t extension = 0;
  uint32_t letters = 0;
  if (line.len >= sizeof letters) {
    letters = load_letters(line.ptr);
  } else if (line.len == sizeof letters - 1) {
    char padded[sizeof letters] = {line.ptr[0], line.ptr[1], line.ptr[2], 0};
    letters = load_letters(padded);
  }
  while (extension < EHLO_EXT_COUNT &&
         ((letters ^ load_letters(pool + extension_offsets[extension])) & 0xDFDFDFDF) != 0) {
    extension++;
  }
  return extension < EHLO_EXT_COUNT && begins_with(line, ehlo_extension_word(extension)) ? extension : EHLO_EXT_COUNT;
}

/* ---- parameters ---- */

const struct parameter_row ehlo_parameters[EHLO_PARAMETER_COUNT] = {
#define PARAMETER(id, first, keyword, extension_, on_, value_) \
  [EHLO_PARAMETER_##id] = {                                    \
      .extension = PASTE(EHLO_EXT_, extension_), .verb = PASTE(EHLO_VERB_, on_), .value = PASTE(VALUE_, value_)},
#include "parameters.def"
#undef PARAMETER
};

_Static_assert(EHLO_PARAMETER_COUNT == 1
#define PARAMETER(id, first, keyword, extension, on, value) +1
#include "parameters.def"
#undef PARAMETER
               ,
               "parameters.def and EHLO_PARAMETER_ have the same rows");

/* ---- replies ---- */

const struct reply_row ehlo_replies[REPLY_ROWS] = {
#define REPLY(id, code_, subject_, detail_, text) \
  [REPLY_##id] = {.code = code_, .subject = subject_, .detail = detail_},
#include "replies.def"
#undef REPLY
};

/* Each row as the line that goes out: "250 -.1.0 Sender okay" and CRLF. The class of the enhanced code is the first
 * digit of the code; that digit cannot be cut out here. */
#define BEFORE_TEXT(code, subject, detail) #code " -." #subject "." #detail " "

struct reply_pool {
#define REPLY(id, code, subject, detail, text) \
  char PASTE(at_, id)[sizeof BEFORE_TEXT(code, subject, detail) text "\r\n"];
#include "replies.def"
#undef REPLY
};

static const struct reply_pool reply_pool = {
#define REPLY(id, code, subject, detail, text) BEFORE_TEXT(code, subject, detail) text "\r\n",
#include "replies.def"
#undef REPLY
};

static const uint16_t reply_offsets[] = {
#define REPLY(id, code, subject, detail, text) offsetof(struct reply_pool, PASTE(at_, id)),
#include "replies.def"
#undef REPLY
    sizeof(struct reply_pool)};

static const uint8_t reply_texts[] = {
#define REPLY(id, code, subject, detail, text) sizeof BEFORE_TEXT(code, subject, detail) - 1,
#include "replies.def"
#undef REPLY
};

ehlo_span ehlo_reply_row_line(unsigned row)
{
  return span_of((const char *)&reply_pool + reply_offsets[row],
                 (size_t)(reply_offsets[row + 1] - reply_offsets[row]) - 1);
}

ehlo_span ehlo_reply_text(unsigned row)
{
  ehlo_span line = ehlo_reply_row_line(row);
  return span_of(line.ptr + reply_texts[row], line.len - reply_texts[row] - 2);
}

unsigned ehlo_reply_find(unsigned code)
{
  unsigned row = 0;
  while (row < REPLY_ROWS && ehlo_replies[row].code != code) {
    row++;
  }
  return row;
}

ehlo_span ehlo_reply_default(uint32_t code, ehlo_enhanced *enhanced)
{
  unsigned row = ehlo_reply_find(code);
  ehlo_enhanced none = {0, 0, 0};
  if (enhanced != NULL) {
    *enhanced = none;
  }
  if (row == REPLY_ROWS) {
    return span_of("", 0);
  }
  if (enhanced != NULL && code / 100 != 3) {
    enhanced->status_class = (uint16_t)(code / 100);
    enhanced->subject = ehlo_replies[row].subject;
    enhanced->detail = ehlo_replies[row].detail;
  }
  return ehlo_reply_text(row);
}
