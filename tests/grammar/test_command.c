/* test_command.c: command lines. */
#include "check.h"

struct row {
  const char *rule;
  ehlo_span line;
  ehlo_span name;     /* empty: refused */
  ehlo_span argument; /* with has_argument */
  uint32_t verb;
  uint32_t has_argument;
};

#define BARE(rule, line, name, verb)                            \
  {                                                             \
    rule, TEXT(line), TEXT(name), TEXT(""), EHLO_VERB_##verb, 0 \
  }
#define WITH(rule, line, name, argument, verb)                        \
  {                                                                   \
    rule, TEXT(line), TEXT(name), TEXT(argument), EHLO_VERB_##verb, 1 \
  }
#define REFUSED(rule, line)                                    \
  {                                                            \
    rule, TEXT(line), TEXT(""), TEXT(""), EHLO_VERB_UNKNOWN, 0 \
  }

static const struct row rows[] = {
    BARE("P-CMD-03", "NOOP", "NOOP", NOOP),
    BARE("P-CMD-03", "noop", "noop", NOOP),
    BARE("P-CMD-03", "nOoP", "nOoP", NOOP),
    WITH("P-CMD-03", "rcpt TO:<a@b>", "rcpt", "TO:<a@b>", RCPT),
    WITH("P-CMD-03", "MAIL FROM:<a@b> SIZE=1", "MAIL", "FROM:<a@b> SIZE=1", MAIL),
    WITH("P-CMD-03", "HELO x", "HELO", "x", HELO),
    WITH("P-CMD-03", "ehlo x", "ehlo", "x", EHLO),
    WITH("P-CMD-03", "Lhlo x", "Lhlo", "x", LHLO),
    WITH("P-CMD-03", "SEND FROM:<>", "SEND", "FROM:<>", SEND),
    WITH("P-CMD-03", "SOML FROM:<>", "SOML", "FROM:<>", SOML),
    WITH("P-CMD-03", "SAML FROM:<>", "SAML", "FROM:<>", SAML),
    BARE("P-CMD-03", "DATA", "DATA", DATA),
    BARE("P-CMD-03", "RSET", "RSET", RSET),
    WITH("P-CMD-03", "VRFY a", "VRFY", "a", VRFY),
    WITH("P-CMD-03", "EXPN a", "EXPN", "a", EXPN),
    BARE("P-CMD-03", "HELP", "HELP", HELP),
    BARE("P-CMD-03", "QUIT", "QUIT", QUIT),
    BARE("P-CMD-03", "TURN", "TURN", TURN),
    WITH("P-CHNK-01", "bdat 1 LAST", "bdat", "1 LAST", BDAT),
    BARE("RFC 3207 4", "StartTLS", "StartTLS", STARTTLS),
    WITH("P-AUTH-02", "auth PLAIN =", "auth", "PLAIN =", AUTH),
    WITH("P-ETRN-01", "Etrn @example.org", "Etrn", "@example.org", ETRN),
    BARE("P-ATRN-01", "atrn", "atrn", ATRN),
    WITH("P-ATRN-01", "ATRN example.org,example.com", "ATRN", "example.org,example.com", ATRN),
    WITH("P-BURL-01", "BURL imap://a/b LAST", "BURL", "imap://a/b LAST", BURL),
    WITH("RFC 5321 2.2.2", "xclient NAME=x", "xclient", "NAME=x", XCLIENT),
    WITH("RFC 5321 2.2.2", "XForward NAME=x", "XForward", "NAME=x", XFORWARD),
    BARE("P-CMD-04", "QUIT ", "QUIT", QUIT),
    BARE("P-CMD-04", "QUIT\t", "QUIT", QUIT),
    BARE("P-CMD-04", "QUIT \t \t", "QUIT", QUIT),
    WITH("P-CMD-04", "HELP me ", "HELP", "me", HELP),
    WITH("P-CMD-04", "HELP me\t \t", "HELP", "me", HELP),
    WITH("P-CMD-05", "HELP  me", "HELP", " me", HELP),
    WITH("P-CMD-05", "HELP \tme", "HELP", "\tme", HELP),
    WITH("P-CMD-05", "HELP a b", "HELP", "a b", HELP),
    BARE("RFC 5321 2.4", "X", "X", UNKNOWN),
    BARE("RFC 5321 2.4", "QUI", "QUI", UNKNOWN),
    BARE("RFC 5321 2.4", "QUITS", "QUITS", UNKNOWN),
    BARE("RFC 5321 2.4", "HEL", "HEL", UNKNOWN),
    BARE("RFC 5321 2.4", "HELPHELP", "HELPHELP", UNKNOWN),
    BARE("RFC 5321 2.4", "DAT4", "DAT4", UNKNOWN),
    BARE("RFC 5321 2.4", "-", "-", UNKNOWN),
    BARE("RFC 5321 2.4", "4", "4", UNKNOWN),
    WITH("RFC 5321 2.4", "STARTTLS-2 x", "STARTTLS-2", "x", UNKNOWN),
    WITH("RFC 5321 2.4", "unknown x", "unknown", "x", UNKNOWN), /* names for logs are no verbs */
    WITH("RFC 5321 2.4", "message x", "message", "x", UNKNOWN),
    BARE("RFC 5321 2.4", "connect", "connect", UNKNOWN),
    BARE("RFC 5321 2.4", "none", "none", UNKNOWN),
    BARE("RFC 5321 2.4", "line", "line", UNKNOWN),
    WITH("RFC 5321 2.4", "XYZZY NAME=x", "XYZZY", "NAME=x", UNKNOWN),
    WITH("RFC 5321 2.4", "VERB ON", "VERB", "ON", UNKNOWN),
    BARE("RFC 5321 2.4", "ONEX", "ONEX", UNKNOWN),
    WITH("RFC 5321 2.4", "XADR x", "XADR", "x", UNKNOWN),
    BARE("RFC 5321 2.4", "ETRNS", "ETRNS", UNKNOWN),
    BARE("RFC 5321 2.4", "AUT", "AUT", UNKNOWN),
    WITH("RFC 5321 2.4", "NOOP \xC3\xA9\xFF", "NOOP", "\xC3\xA9\xFF", NOOP), /* the argument is not looked at */
    WITH("RFC 5321 2.4", "NOOP \0\x01\x7F", "NOOP", "\0\x01\x7F", NOOP),
    REFUSED("RFC 5321 2.4", ""),
    REFUSED("RFC 5321 2.4", " "),
    REFUSED("RFC 5321 2.4", "\t \t"),
    REFUSED("P-CMD-05", " NOOP"),
    REFUSED("P-CMD-05", "\tNOOP"),
    REFUSED("P-CMD-05", "HELP\tme"),
    REFUSED("RFC 5321 2.4", "MAIL:FROM <a@b>"),
    REFUSED("RFC 5321 2.4", "GET/ HTTP"),
    REFUSED("RFC 5321 2.4", ":"),
    REFUSED("RFC 5321 2.4", "NO_OP"),
    REFUSED("RFC 5321 2.4", "NOOP."),
    REFUSED("RFC 5321 2.4", "NO\0OP"),
    REFUSED("RFC 5321 2.4", "NOOP\0"),
    REFUSED("RFC 5321 2.4", "\x16\x03\x01"),
    REFUSED("RFC 5321 2.4", "NO\xC3\xA9P"),
    REFUSED("RFC 5321 2.4", "\xFFNOOP"),
    REFUSED("P-CMD-01", "NOOP\r"),
    REFUSED("P-CMD-01", "NOOP\nNOOP"),
};

static void lines_are_taken_apart(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(rows); i++) {
    const struct row *row = &rows[i];
    ehlo_span line = guard_copy(0, row->line);
    ehlo_command command;
    memset(&command, 0xAA, sizeof command);
    int result = ehlo_parse_command(line, &command);
    CHECK(row->rule, line, result == (row->name.len == 0 ? EHLO_ERR_SYNTAX : EHLO_OK));
    CHECK(row->rule, line, result == EHLO_OK || is_zero(&command, sizeof command));
    CHECK(row->rule, line, command.verb == row->verb);
    CHECK(row->rule, line, command.has_argument == row->has_argument);
    CHECK(row->rule, line, same_place(command.name, front(line, row->name.len)));
    CHECK(row->rule, line, ehlo_span_equal(command.argument, row->argument));
    CHECK(row->rule, line, lies_inside(command.argument, line));
  }
}

/* Of a line that is a command, every front part is one too, or is empty; the argument grows with it. */
static void front_parts_of_lines_are_lines(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(rows); i++) {
    for (size_t length = 0; rows[i].name.len > 0 && length < rows[i].line.len; length++) {
      ehlo_span line = guard_copy(0, front(rows[i].line, length));
      ehlo_command command;
      int result = ehlo_parse_command(line, &command);
      CHECK("RFC 5321 2.4", line, result == (length == 0 ? EHLO_ERR_SYNTAX : EHLO_OK));
      CHECK("RFC 5321 2.4", line, command.name.len == (length < rows[i].name.len ? length : rows[i].name.len));
      CHECK("P-CMD-04", line, command.has_argument == (command.argument.len > 0));
    }
  }
}

/* Every octet behind, inside and before a verb. */
static void each_octet_stands_where_it_may(void **state)
{
  (void)state;
  for (unsigned octet = 0; octet < 256; octet++) {
    char text[] = {'H', 'E', 'L', 'P', (char)octet, 'm', 'e'};
    ehlo_span line = guard_copy(0, (ehlo_span){text, sizeof text});
    int word = (octet >= '0' && octet <= '9') || (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z') ||
               octet == '-';
    ehlo_command command;
    CHECK("P-CMD-05", line, (ehlo_parse_command(line, &command) == EHLO_OK) == (word || octet == ' '));
    CHECK("P-CMD-05", line, command.verb == (octet == ' ' ? EHLO_VERB_HELP : EHLO_VERB_UNKNOWN));
    text[0] = (char)octet;
    text[4] = ' ';
    line = guard_copy(0, (ehlo_span){text, sizeof text});
    CHECK("P-CMD-05", line, (ehlo_parse_command(line, &command) == EHLO_OK) == word);
    CHECK("P-CMD-03", line, command.verb == (octet == 'H' || octet == 'h' ? EHLO_VERB_HELP : EHLO_VERB_UNKNOWN));
  }
}

static void missing_outputs_are_refused(void **state)
{
  (void)state;
  ehlo_command command;
  ehlo_span nothing = {NULL, 0};
  assert_int_equal(ehlo_parse_command(SPAN("NOOP"), NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_parse_command(nothing, &command), EHLO_ERR_SYNTAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_taken_apart),
      cmocka_unit_test(front_parts_of_lines_are_lines),
      cmocka_unit_test(each_octet_stands_where_it_may),
      cmocka_unit_test(missing_outputs_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
