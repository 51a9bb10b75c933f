/* test_envelope.c: the parameters of MAIL and RCPT, from a list into a struct and back. */
#include "check.h"

#include "grammar/envelope.h"
#include "grammar/table.h"

#define LATE 253402300800 /* the first second of year 10000 */

static ehlo_parameter parameter_of(ehlo_span text)
{
  ehlo_parameter parameter;
  CHECK("P-MAIL-13", text, ehlo_parameter_next(&text, EHLO_PARSE_UTF8, &parameter) == 1 && text.len == 0);
  return parameter;
}

static ehlo_mail_parameters mail_of(ehlo_span list)
{
  ehlo_mail_parameters mail = {.struct_size = sizeof mail};
  ehlo_parameter parameter;
  while (ehlo_parameter_next(&list, 0, &parameter) == 1) {
    CHECK("P-MAIL-13", parameter.raw, ehlo_mail_parameter_read(&parameter, 0, &mail) == EHLO_OK);
  }
  return mail;
}

static ehlo_rcpt_parameters rcpt_of(ehlo_span list)
{
  ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt};
  ehlo_parameter parameter;
  while (ehlo_parameter_next(&list, 0, &parameter) == 1) {
    CHECK("P-MAIL-13", parameter.raw, ehlo_rcpt_parameter_read(&parameter, 0, &rcpt) == EHLO_OK);
  }
  return rcpt;
}

#define ALL_OF_MAIL                                                                                                 \
  "SIZE=123 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=1@a AUTH=e+3Dmc2@example.com REQUIRETLS MT-PRIORITY=-4 BY=60;RT " \
  "HOLDFOR=59 SOLICIT=net.example:ADV MTRK=QUJD:7 SUBMITTER=a+2Bb@example.com CONPERM TRANSID=<1@a.example>"
#define ALL_OF_RCPT "NOTIFY=SUCCESS,DELAY CONNEG ORCPT=rfc822;Bob@Example.COM RRVS=2014-04-03T23:01:00Z;C"

/* ---- reading ---- */

#define IS(span, literal) assert_true(ehlo_span_equal(span, SPAN(literal)))

static void each_value_goes_to_its_field(void **state)
{
  (void)state;
  ehlo_mail_parameters mail = mail_of(guard_copy(0, SPAN(ALL_OF_MAIL)));
  assert_true(mail.has_size == 1 && mail.size == 123);
  assert_int_equal(mail.body, EHLO_BODY_8BITMIME);
  assert_int_equal(mail.smtputf8, 1);
  assert_int_equal(mail.ret, EHLO_RET_HDRS);
  IS(mail.envid, "1@a");
  IS(mail.auth, "e+3Dmc2@example.com");
  assert_int_equal(mail.requiretls, 1);
  assert_true(mail.has_priority == 1 && mail.priority == -4);
  assert_true(mail.by_mode == EHLO_BY_RETURN && mail.by_trace == 1 && mail.by_time == 60);
  assert_true(mail.hold_for == 59 && mail.has_hold_until == 0);
  IS(mail.solicit, "net.example:ADV");
  IS(mail.mtrk, "QUJD");
  assert_true(mail.has_mtrk_timeout == 1 && mail.mtrk_timeout == 7);
  IS(mail.submitter, "a+2Bb@example.com");
  assert_int_equal(mail.conperm, 1);
  IS(mail.transid, "<1@a.example>");
  assert_int_equal(mail.others.len, 0);

  mail = mail_of(SPAN("MT-PRIORITY=0 BODY=BINARYMIME RET=FULL BY=-5;N HOLDUNTIL=1970-01-01T00:00:00Z MTRK=QUJD"));
  assert_true(mail.has_priority == 1 && mail.priority == 0);
  assert_true(mail.body == EHLO_BODY_BINARYMIME && mail.ret == EHLO_RET_FULL);
  assert_true(mail.by_mode == EHLO_BY_NOTIFY && mail.by_trace == 0 && mail.by_time == -5);
  assert_true(mail.has_hold_until == 1 && mail.hold_until == 0);
  assert_true(mail.has_mtrk_timeout == 0 && mail.mtrk_timeout == 0);

  ehlo_rcpt_parameters rcpt = rcpt_of(guard_copy(0, SPAN(ALL_OF_RCPT)));
  assert_int_equal(rcpt.notify, EHLO_NOTIFY_SUCCESS | EHLO_NOTIFY_DELAY);
  assert_int_equal(rcpt.conneg, 1);
  IS(rcpt.orcpt_type, "rfc822");
  IS(rcpt.orcpt_address, "Bob@Example.COM");
  assert_true(rcpt.rrvs == EHLO_RRVS_CONTINUE && rcpt.rrvs_action == 1 && rcpt.rrvs_time == 1396566060);
  rcpt = rcpt_of(SPAN("NOTIFY=NEVER RRVS=2014-04-03T23:01:00Z"));
  assert_true(rcpt.notify == EHLO_NOTIFY_NEVER && rcpt.rrvs == EHLO_RRVS_REJECT && rcpt.rrvs_action == 0);
}

/* Each one of a full command, given again. */
static void nothing_is_said_twice(void **state)
{
  (void)state;
  const ehlo_mail_parameters mail = mail_of(SPAN(ALL_OF_MAIL));
  const ehlo_rcpt_parameters rcpt = rcpt_of(SPAN(ALL_OF_RCPT));
  ehlo_span list = SPAN(ALL_OF_MAIL " HOLDUNTIL=2026-11-26T10:30:00Z " ALL_OF_RCPT);
  ehlo_parameter parameter;
  unsigned count = 0;
  while (ehlo_parameter_next(&list, 0, &parameter) == 1) {
    ehlo_mail_parameters mail_again = mail;
    ehlo_rcpt_parameters rcpt_again = rcpt;
    int on_mail = ehlo_parameters[parameter.id].verb == EHLO_VERB_MAIL;
    CHECK("S-DSN-06", parameter.raw,
          ehlo_mail_parameter_read(&parameter, 0, &mail_again) == (on_mail ? EHLO_ERR_SYNTAX : EHLO_ERR_NOT_OFFERED));
    CHECK("S-DSN-06", parameter.raw,
          ehlo_rcpt_parameter_read(&parameter, 0, &rcpt_again) == (on_mail ? EHLO_ERR_NOT_OFFERED : EHLO_ERR_SYNTAX));
    CHECK("S-MTPR-02", parameter.raw, memcmp(&mail_again, &mail, sizeof mail) == 0);
    CHECK("S-DSN-06", parameter.raw, memcmp(&rcpt_again, &rcpt, sizeof rcpt) == 0);
    count++;
  }
  assert_int_equal(count, EHLO_PARAMETER_COUNT - 1);
}

/* Zero where it is a value, what is empty, and what is of one octet count as said too. */
static void small_values_are_said_too(void **state)
{
  (void)state;
  static const char *const texts[] = {"SIZE=0",        "ENVID=x", "SOLICIT=x",
                                      "MT-PRIORITY=0", "BY=0;N",  "HOLDUNTIL=1970-01-01T00:00:00Z"};
  for (size_t i = 0; i < ROWS(texts); i++) {
    ehlo_mail_parameters mail = {.struct_size = sizeof mail};
    ehlo_parameter parameter = parameter_of(ehlo_span_of(texts[i]));
    CHECK("S-DSN-06", parameter.raw, ehlo_mail_parameter_read(&parameter, 0, &mail) == EHLO_OK);
    CHECK("S-DSN-06", parameter.raw, ehlo_mail_parameter_read(&parameter, 0, &mail) == EHLO_ERR_SYNTAX);
  }
  static const char *const rcpt_texts[] = {"ORCPT=rfc822;", "RRVS=1970-01-01T00:00:00Z"};
  for (size_t i = 0; i < ROWS(rcpt_texts); i++) {
    ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt};
    ehlo_parameter parameter = parameter_of(ehlo_span_of(rcpt_texts[i]));
    CHECK("S-DSN-06", parameter.raw, ehlo_rcpt_parameter_read(&parameter, 0, &rcpt) == EHLO_OK);
    CHECK("S-DSN-06", parameter.raw, ehlo_rcpt_parameter_read(&parameter, 0, &rcpt) == EHLO_ERR_SYNTAX);
  }
  ehlo_mail_parameters mail = mail_of(SPAN("HOLDUNTIL=1970-01-01T00:00:00Z"));
  ehlo_parameter parameter = parameter_of(SPAN("HOLDFOR=1"));
  CHECK("S-FREL-03", parameter.raw, ehlo_mail_parameter_read(&parameter, 0, &mail) == EHLO_ERR_SYNTAX);
}

static void readers_know_what_is_not_theirs(void **state)
{
  (void)state;
  ehlo_mail_parameters mail = {.struct_size = sizeof mail};
  ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt};
  ehlo_parameter parameter = parameter_of(SPAN("X-OTHER=1"));
  assert_int_equal(ehlo_mail_parameter_read(&parameter, 0, &mail), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(ehlo_rcpt_parameter_read(&parameter, 0, &rcpt), EHLO_ERR_NOT_OFFERED);
  static const uint32_t numbers[] = {EHLO_PARAMETER_COUNT, UINT32_MAX};
  for (size_t i = 0; i < ROWS(numbers); i++) {
    parameter.id = numbers[i];
    assert_int_equal(ehlo_mail_parameter_read(&parameter, 0, &mail), EHLO_ERR_NOT_OFFERED);
    assert_int_equal(ehlo_rcpt_parameter_read(&parameter, 0, &rcpt), EHLO_ERR_NOT_OFFERED);
  }
  parameter = parameter_of(SPAN("SIZE=1"));
  assert_int_equal(ehlo_mail_parameter_read(NULL, 0, &mail), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_mail_parameter_read(&parameter, 0, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_rcpt_parameter_read(NULL, 0, &rcpt), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_rcpt_parameter_read(&parameter, 0, NULL), EHLO_ERR_ARGUMENT);
  mail.struct_size--;
  rcpt.struct_size--;
  assert_int_equal(ehlo_mail_parameter_read(&parameter, 0, &mail), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_rcpt_parameter_read(&parameter, 0, &rcpt), EHLO_ERR_ARGUMENT);

  /* Values that no list hands out. */
  mail.struct_size++;
  rcpt.struct_size++;
  static const ehlo_span values[] = {{NULL, 0}, TEXT(" "), TEXT("="), TEXT("\r\n"), TEXT("\0")};
  for (uint32_t id = 1; id < EHLO_PARAMETER_COUNT; id++) {
    for (size_t i = 0; ehlo_parameters[id].value == VALUE_SOME && i < ROWS(values); i++) {
      int on_mail = ehlo_parameters[id].verb == EHLO_VERB_MAIL;
      parameter = (ehlo_parameter){.id = id, .has_value = 1, .value = values[i]};
      CHECK("P-MAIL-13", values[i],
            (on_mail ? ehlo_mail_parameter_read(&parameter, 0, &mail)
                     : ehlo_rcpt_parameter_read(&parameter, 0, &rcpt)) == EHLO_ERR_SYNTAX);
    }
  }
  /* "=" ends no value, whatever the rules for parts of it say: it could not go out again. */
  static const struct {
    uint32_t id;
    ehlo_span value;
  } equals[] = {{EHLO_PARAMETER_ENVID, TEXT("a=")},         {EHLO_PARAMETER_AUTH, TEXT("a=b@c")},
                {EHLO_PARAMETER_MTRK, TEXT("QUI=")},        {EHLO_PARAMETER_MTRK, TEXT("QQ==QUJD")},
                {EHLO_PARAMETER_TRANSID, TEXT("<a=@b>")},   {EHLO_PARAMETER_ORCPT, TEXT("a=b;c")},
                {EHLO_PARAMETER_ORCPT, TEXT("utf-8;a=b@c")}};
  for (size_t i = 0; i < ROWS(equals); i++) {
    parameter = (ehlo_parameter){.id = equals[i].id, .has_value = 1, .value = guard_copy(0, equals[i].value)};
    int result = equals[i].id == EHLO_PARAMETER_ORCPT ? ehlo_rcpt_parameter_read(&parameter, 0, &rcpt)
                                                      : ehlo_mail_parameter_read(&parameter, 0, &mail);
    CHECK("P-MAIL-13", equals[i].value, result == EHLO_ERR_SYNTAX);
  }
}

/* ---- formatting ---- */

static int format_mail(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_format_mail_parameters(input, 0, buffer, size, length);
}

static int format_rcpt(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_format_rcpt_parameters(input, 0, buffer, size, length);
}

static int format_rcpt_utf8(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_format_rcpt_parameters(input, EHLO_PARSE_UTF8, buffer, size, length);
}

static void all_is_told_in_order(void **state)
{
  (void)state;
  ehlo_mail_parameters mail = mail_of(SPAN(ALL_OF_MAIL));
  ehlo_rcpt_parameters rcpt = rcpt_of(SPAN(ALL_OF_RCPT));
  check_format("C-DSN-11", SPAN(ALL_OF_MAIL), format_mail, &mail, SPAN(" " ALL_OF_MAIL));
  check_format("C-DSN-11", SPAN(ALL_OF_RCPT), format_rcpt, &rcpt, SPAN(" " ALL_OF_RCPT));
  mail.others = SPAN("X-A X-B=1");
  rcpt.others = SPAN("X-A X-A");
  check_format("C-DSN-11", mail.others, format_mail, &mail, SPAN(" " ALL_OF_MAIL " X-A X-B=1"));
  check_format("C-DSN-11", rcpt.others, format_rcpt, &rcpt, SPAN(" " ALL_OF_RCPT " X-A X-A"));
}

static void nothing_said_is_nothing_told(void **state)
{
  (void)state;
  ehlo_mail_parameters mail = {.struct_size = sizeof mail};
  ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt};
  check_format("C-DSN-12", SPAN(""), format_mail, &mail, SPAN(""));
  check_format("C-DSN-12", SPAN(""), format_rcpt, &rcpt, SPAN(""));
  /* Fields beside one that says that they say something. */
  mail.size = 1;
  mail.priority = 100;
  mail.by_time = INT32_MIN;
  mail.by_trace = 1;
  mail.hold_until = LATE;
  mail.has_mtrk_timeout = 1;
  mail.mtrk_timeout = UINT32_MAX;
  rcpt.rrvs_action = 1;
  rcpt.rrvs_time = LATE;
  check_format("C-DSN-12", SPAN(""), format_mail, &mail, SPAN(""));
  check_format("C-DSN-12", SPAN(""), format_rcpt, &rcpt, SPAN(""));
}

static void numbers_go_out_to_their_ends(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_mail_parameters mail;
    const char *want; /* NULL: refused */
  } rows[] = {
#define MAIL(...) {.struct_size = sizeof(ehlo_mail_parameters), __VA_ARGS__}
      {"P-SIZE-02", MAIL(.has_size = 1, .size = UINT64_MAX), " SIZE=18446744073709551615"},
      {"P-8BIT-01", MAIL(.body = EHLO_BODY_7BIT), " BODY=7BIT"},
      {"P-CHNK-14", MAIL(.body = EHLO_BODY_BINARYMIME), " BODY=BINARYMIME"},
      {"P-CHNK-14", MAIL(.body = EHLO_BODY_BINARYMIME + 1), NULL},
      {"P-DSN-04", MAIL(.ret = EHLO_RET_FULL), " RET=FULL"},
      {"P-DSN-04", MAIL(.ret = EHLO_RET_HDRS + 1), NULL},
      {"P-MTPR-01", MAIL(.has_priority = 1, .priority = 9), " MT-PRIORITY=9"},
      {"P-MTPR-01", MAIL(.has_priority = 1, .priority = -9), " MT-PRIORITY=-9"},
      {"P-MTPR-01", MAIL(.has_priority = 1, .priority = 10), NULL},
      {"P-MTPR-01", MAIL(.has_priority = 1, .priority = -10), NULL},
      {"P-MTPR-01", MAIL(.has_priority = 1, .priority = INT32_MIN), NULL},
      {"P-DLBY-01", MAIL(.by_mode = EHLO_BY_NOTIFY, .by_time = 999999999, .by_trace = 2), " BY=999999999;NT"},
      {"P-DLBY-01", MAIL(.by_mode = EHLO_BY_NOTIFY, .by_time = 1000000000), NULL},
      {"P-DLBY-01", MAIL(.by_mode = EHLO_BY_NOTIFY, .by_time = -999999999), " BY=-999999999;N"},
      {"P-DLBY-01", MAIL(.by_mode = EHLO_BY_NOTIFY, .by_time = -1000000000), NULL},
      {"P-DLBY-01", MAIL(.by_mode = EHLO_BY_RETURN, .by_time = 1), " BY=1;R"},
      {"S-DLBY-02", MAIL(.by_mode = EHLO_BY_RETURN, .by_time = 0), NULL},
      {"S-DLBY-02", MAIL(.by_mode = EHLO_BY_RETURN, .by_time = -1), NULL},
      {"P-DLBY-01", MAIL(.by_mode = EHLO_BY_RETURN, .by_time = 1000000000), NULL},
      {"P-DLBY-01", MAIL(.by_mode = EHLO_BY_RETURN + 1, .by_time = 1), NULL},
      {"P-FREL-01", MAIL(.hold_for = 1), " HOLDFOR=1"},
      {"P-FREL-01", MAIL(.hold_for = 999999999), " HOLDFOR=999999999"},
      {"P-FREL-01", MAIL(.hold_for = 1000000000), NULL},
      {"P-FREL-01", MAIL(.has_hold_until = 1, .hold_until = LATE - 1), " HOLDUNTIL=9999-12-31T23:59:59Z"},
      {"P-FREL-01", MAIL(.has_hold_until = 1, .hold_until = LATE), NULL},
      {"P-MISC-03", MAIL(.envid = TEXT("1"), .mtrk = TEXT("QUJD"), .has_mtrk_timeout = 1, .mtrk_timeout = 999999999),
       " ENVID=1 MTRK=QUJD:999999999"},
      {"P-MISC-03", MAIL(.envid = TEXT("1"), .mtrk = TEXT("QUJD"), .has_mtrk_timeout = 1, .mtrk_timeout = 1000000000),
       NULL},
      {"P-MISC-03", MAIL(.envid = TEXT("1"), .mtrk = TEXT("QUJD"), .mtrk_timeout = 7), " ENVID=1 MTRK=QUJD"},
      /* what may not stand together */
      {"P-MISC-03", MAIL(.mtrk = TEXT("QUJD")), NULL},
      {"P-MISC-03", MAIL(.mtrk = TEXT("QUJD"), .others = TEXT("ENVID=1")), " MTRK=QUJD ENVID=1"},
      {"P-MISC-03", MAIL(.others = TEXT("MTRK=QUJD")), NULL},
      {"C-FREL-06", MAIL(.hold_for = 1, .has_hold_until = 1), NULL},
      {"S-FREL-05", MAIL(.hold_for = 60, .by_mode = EHLO_BY_RETURN, .by_time = 60), " BY=60;R HOLDFOR=60"},
      {"S-FREL-05", MAIL(.hold_for = 61, .by_mode = EHLO_BY_RETURN, .by_time = 60), NULL},
      {"S-FREL-05", MAIL(.hold_for = 1, .by_mode = EHLO_BY_NOTIFY, .by_time = 0), NULL},
      {"S-FREL-05", MAIL(.hold_for = 1, .by_mode = EHLO_BY_NOTIFY, .by_time = -999999999), NULL},
      {"S-FREL-05", MAIL(.by_mode = EHLO_BY_NOTIFY, .by_time = -1), " BY=-1;N"},
      {"S-FREL-05", MAIL(.hold_for = 61, .others = TEXT("BY=60;R")), NULL},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_span name = ehlo_span_of(rows[i].want);
    if (rows[i].want == NULL) {
      char number[32];
      name = (ehlo_span){number, (size_t)snprintf(number, sizeof number, "row %zu", i)};
      check_refused(rows[i].rule, name, format_mail, &rows[i].mail, EHLO_ERR_ARGUMENT);
    } else {
      check_format(rows[i].rule, name, format_mail, &rows[i].mail, name);
    }
  }
}

static void rcpt_numbers_go_out_to_their_ends(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_rcpt_parameters rcpt;
    const char *want; /* NULL: refused */
  } rows[] = {
#define RCPT(...) {.struct_size = sizeof(ehlo_rcpt_parameters), __VA_ARGS__}
      {"P-DSN-02", RCPT(.notify = EHLO_NOTIFY_NEVER), " NOTIFY=NEVER"},
      {"P-DSN-02", RCPT(.notify = 14), " NOTIFY=SUCCESS,FAILURE,DELAY"},
      {"P-DSN-02", RCPT(.notify = EHLO_NOTIFY_NEVER | EHLO_NOTIFY_DELAY), NULL},
      {"P-DSN-02", RCPT(.notify = 15), NULL},
      {"P-DSN-02", RCPT(.notify = 16), NULL},
      {"P-RRVS-01", RCPT(.rrvs = EHLO_RRVS_REJECT), " RRVS=1970-01-01T00:00:00Z"},
      {"P-RRVS-01", RCPT(.rrvs = EHLO_RRVS_REJECT, .rrvs_action = 1), " RRVS=1970-01-01T00:00:00Z;R"},
      {"C-RRVS-04", RCPT(.rrvs = EHLO_RRVS_CONTINUE, .rrvs_action = 1), " RRVS=1970-01-01T00:00:00Z;C"},
      {"C-RRVS-04", RCPT(.rrvs = EHLO_RRVS_CONTINUE), " RRVS=1970-01-01T00:00:00Z;C"},
      {"P-RRVS-01", RCPT(.rrvs = EHLO_RRVS_REJECT + 1), NULL},
      {"P-RRVS-01", RCPT(.rrvs = EHLO_RRVS_REJECT, .rrvs_time = LATE), NULL},
      {"P-RRVS-01", RCPT(.rrvs = EHLO_RRVS_REJECT, .rrvs_time = LATE - 1), " RRVS=9999-12-31T23:59:59Z"},
      {"P-DSN-03", RCPT(.orcpt_type = TEXT("rfc822")), " ORCPT=rfc822;"},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_span name = ehlo_span_of(rows[i].want);
    if (rows[i].want == NULL) {
      check_refused(rows[i].rule, name, format_rcpt, &rows[i].rcpt, EHLO_ERR_ARGUMENT);
    } else {
      check_format(rows[i].rule, name, format_rcpt, &rows[i].rcpt, name);
    }
  }
}

/* Whatever stands in a span, nothing goes out that would not be read back as what it is. */
static void spans_keep_their_grammar(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_mail_parameters mail;
  } rows[] = {
      {"P-DSN-05", MAIL(.envid = TEXT("a b"))},
      {"P-DSN-05", MAIL(.envid = TEXT("a RET=FULL"))},
      {"P-DSN-05", MAIL(.envid = TEXT("a\r\n"))},
      {"P-DSN-05", MAIL(.envid = TEXT("a=b"))},
      {"P-AUTH-29", MAIL(.auth = TEXT("a@b c"))},
      {"P-AUTH-29", MAIL(.auth = TEXT("<> "))},
      {"P-AUTH-29", MAIL(.auth = TEXT("+C3+A9@a"))},
      {"P-NSOL-01", MAIL(.solicit = TEXT("a, b"))},
      {"P-MISC-03", MAIL(.envid = TEXT("1"), .mtrk = TEXT("QUI="))},
      {"P-MISC-03", MAIL(.envid = TEXT("1"), .mtrk = TEXT("QUJD:7"))},
      {"P-MISC-04", MAIL(.submitter = TEXT("<a@b>"))},
      {"P-MISC-04", MAIL(.submitter = TEXT("+C3+A9@a"))},
      {"P-MISC-01", MAIL(.transid = TEXT("a@b"))},
      /* others */
      {"P-MAIL-13", MAIL(.others = TEXT(" X"))},
      {"P-MAIL-13", MAIL(.others = TEXT("X "))},
      {"P-MAIL-13", MAIL(.others = TEXT("X\r\nDATA"))},
      {"P-MAIL-13", MAIL(.others = TEXT("X=\xC3\xA9"))},
      {"P-MAIL-13", MAIL(.others = TEXT("X==1"))},
      {"S-DSN-06", MAIL(.ret = EHLO_RET_FULL, .others = TEXT("X RET=FULL"))},
      {"S-DSN-06", MAIL(.others = TEXT("RET=FULL RET=FULL"))},
      {"P-DSN-04", MAIL(.others = TEXT("RET=ALL"))},
      {"S-FREL-03", MAIL(.hold_for = 1, .others = TEXT("HOLDUNTIL=2026-11-26T10:30:00Z"))},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    char number[32];
    ehlo_span name = {number, (size_t)snprintf(number, sizeof number, "row %zu", i)};
    check_refused(rows[i].rule, name, format_mail, &rows[i].mail, EHLO_ERR_TEXT);
  }
  static const struct {
    const char *rule;
    ehlo_rcpt_parameters rcpt;
  } rcpt_rows[] = {
      {"P-DSN-03", RCPT(.orcpt_address = TEXT("a@b"))},
      {"P-DSN-03", RCPT(.orcpt_type = TEXT("rfc822;"), .orcpt_address = TEXT("a@b"))},
      {"P-DSN-03", RCPT(.orcpt_type = TEXT("rfc 822"), .orcpt_address = TEXT("a@b"))},
      {"P-DSN-03", RCPT(.orcpt_type = TEXT("rfc822"), .orcpt_address = TEXT("a@b c"))},
      {"C-DSN-17", RCPT(.orcpt_type = TEXT("utf-8"), .orcpt_address = TEXT("\xC3\xA9@a"))},
      {"P-MAIL-13", RCPT(.others = TEXT("X  Y"))},
      {"S-DSN-06", RCPT(.notify = EHLO_NOTIFY_NEVER, .others = TEXT("NOTIFY=NEVER"))},
      {"P-MISC-05", RCPT(.others = TEXT("CONNEG=1"))},
  };
  for (size_t i = 0; i < ROWS(rcpt_rows); i++) {
    char number[32];
    ehlo_span name = {number, (size_t)snprintf(number, sizeof number, "row %zu of RCPT", i)};
    check_refused(rcpt_rows[i].rule, name, format_rcpt, &rcpt_rows[i].rcpt, EHLO_ERR_TEXT);
  }
  check_format("P-DSN-16", rcpt_rows[4].rcpt.orcpt_address, format_rcpt_utf8, &rcpt_rows[4].rcpt,
               SPAN(" ORCPT=utf-8;\xC3\xA9@a"));

  /* What the library knows may stand among the others, once and by its rules; what is of the other command too. */
  static const ehlo_mail_parameters known = MAIL(.others = TEXT("ret=Full NOTIFY=x X"));
  static const ehlo_rcpt_parameters rcpt_known = RCPT(.others = TEXT("X conneg RET=x"));
  check_format("C-DSN-11", known.others, format_mail, &known, SPAN(" ret=Full NOTIFY=x X"));
  check_format("C-DSN-11", rcpt_known.others, format_rcpt, &rcpt_known, SPAN(" X conneg RET=x"));
}

static void broken_structs_are_refused(void **state)
{
  (void)state;
  static const ehlo_mail_parameters mail = {.struct_size = sizeof mail - 1, .ret = EHLO_RET_FULL};
  static const ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt - 1, .conneg = 1};
  check_refused("P-MAIL-13", SPAN("MAIL"), format_mail, &mail, EHLO_ERR_ARGUMENT);
  check_refused("P-MAIL-13", SPAN("RCPT"), format_rcpt, &rcpt, EHLO_ERR_ARGUMENT);
  check_refused("P-MAIL-13", SPAN("no MAIL"), format_mail, NULL, EHLO_ERR_ARGUMENT);
  check_refused("P-MAIL-13", SPAN("no RCPT"), format_rcpt, NULL, EHLO_ERR_ARGUMENT);
}

/* ---- together ---- */

static void parameters_of_one_mail_agree(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_span list;
    int agree;
  } rows[] = {
      {"P-MISC-03", TEXT(""), 1},
      {"P-MISC-03", TEXT("MTRK=QUJD ENVID=1@a"), 1},
      {"P-MISC-03", TEXT("ENVID=1@a MTRK=QUJD"), 1},
      {"P-MISC-03", TEXT("MTRK=QUJD"), 0},
      {"P-MISC-03", TEXT("ENVID=1@a"), 1},
      {"S-FREL-05", TEXT("HOLDFOR=60 BY=60;N"), 1},
      {"S-FREL-05", TEXT("BY=60;N HOLDFOR=61"), 0},
      {"S-FREL-05", TEXT("BY=-1;N HOLDFOR=1"), 0},
      {"S-FREL-05", TEXT("BY=-1;N HOLDUNTIL=1970-01-01T00:00:00Z"), 1}, /* a clock knows */
      {"S-FREL-05", TEXT("HOLDFOR=999999999"), 1},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_mail_parameters mail = mail_of(rows[i].list);
    CHECK(rows[i].rule, rows[i].list, ehlo_mail_parameters_agree(&mail) == rows[i].agree);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_value_goes_to_its_field), cmocka_unit_test(nothing_is_said_twice),
      cmocka_unit_test(small_values_are_said_too),    cmocka_unit_test(readers_know_what_is_not_theirs),
      cmocka_unit_test(all_is_told_in_order),         cmocka_unit_test(nothing_said_is_nothing_told),
      cmocka_unit_test(numbers_go_out_to_their_ends), cmocka_unit_test(rcpt_numbers_go_out_to_their_ends),
      cmocka_unit_test(spans_keep_their_grammar),     cmocka_unit_test(broken_structs_are_refused),
      cmocka_unit_test(parameters_of_one_mail_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
