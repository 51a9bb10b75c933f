/* test_parameter.c: the parameters of MAIL and RCPT, and numbers. */
#include "check.h"

enum { UTF8 = EHLO_PARSE_UTF8, MOST = 6 };

/* ---- lists ---- */

struct list_row {
  const char *rule;
  ehlo_span text;
  uint32_t flags;
  unsigned count; /* parameters before the end or the trouble */
  size_t trouble; /* where the trouble is; NO_TROUBLE */
  ehlo_span members[MOST];
};

#define NO_TROUBLE SIZE_MAX

static const struct list_row lists[] = {
    {"P-MAIL-13", TEXT(""), 0, 0, NO_TROUBLE, {TEXT("")}},
    {"P-MAIL-13", TEXT("SIZE=1"), 0, 1, NO_TROUBLE, {TEXT("SIZE=1")}},
    {"P-MAIL-13", TEXT("SMTPUTF8"), 0, 1, NO_TROUBLE, {TEXT("SMTPUTF8")}},
    {"P-MAIL-13", TEXT("A"), 0, 1, NO_TROUBLE, {TEXT("A")}},
    {"P-MAIL-13", TEXT("8"), 0, 1, NO_TROUBLE, {TEXT("8")}},
    {"P-MAIL-13", TEXT("A-"), 0, 1, NO_TROUBLE, {TEXT("A-")}}, /* unlike a label, a keyword may end in one */
    {"P-MAIL-13", TEXT("8-b-C--d=x"), 0, 1, NO_TROUBLE, {TEXT("8-b-C--d=x")}},
    {"P-MAIL-13", TEXT("A B=c D"), 0, 3, NO_TROUBLE, {TEXT("A"), TEXT("B=c"), TEXT("D")}},
    {"P-MAIL-13",
     TEXT("SIZE=123 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159"),
     0,
     5,
     NO_TROUBLE,
     {TEXT("SIZE=123"), TEXT("BODY=8BITMIME"), TEXT("SMTPUTF8"), TEXT("RET=HDRS"), TEXT("ENVID=QQ314159")}},
    {"P-MAIL-13",
     TEXT("NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;user0001@recipient.example.com"),
     0,
     2,
     NO_TROUBLE,
     {TEXT("NOTIFY=SUCCESS,FAILURE,DELAY"), TEXT("ORCPT=rfc822;user0001@recipient.example.com")}},
    {"P-MAIL-13",
     TEXT("X=!\"#$%&'()*+,-./0:;<>?@[\\]^_`{|}~"),
     0,
     1,
     NO_TROUBLE,
     {TEXT("X=!\"#$%&'()*+,-./0:;<>?@[\\]^_`{|}~")}},
    {"P-UTF8-04", TEXT("X=\xC3\xA9"), UTF8, 1, NO_TROUBLE, {TEXT("X=\xC3\xA9")}},
    {"P-UTF8-04",
     TEXT("X=abcdefgh\xC3\xA9ijklmnopqrstuv\xE2\x82\xAC Y"),
     UTF8,
     2,
     NO_TROUBLE,
     {TEXT("X=abcdefgh\xC3\xA9ijklmnopqrstuv\xE2\x82\xAC"), TEXT("Y")}},
    {"P-MAIL-13", TEXT(" A"), 0, 0, 0, {TEXT("")}},
    {"P-MAIL-13", TEXT(" "), 0, 0, 0, {TEXT("")}},
    {"P-MAIL-13", TEXT("A "), 0, 1, 1, {TEXT("A")}},
    {"P-MAIL-13", TEXT("A=b "), 0, 1, 3, {TEXT("A=b")}},
    {"P-MAIL-13", TEXT("A  B"), 0, 1, 2, {TEXT("A")}},
    {"P-MAIL-13", TEXT("A\tB"), 0, 0, 1, {TEXT("")}},
    {"P-MAIL-13", TEXT("A=b\tC"), 0, 0, 3, {TEXT("")}},
    {"P-MAIL-13", TEXT("A="), 0, 0, 2, {TEXT("")}},
    {"P-MAIL-13", TEXT("A= B"), 0, 0, 2, {TEXT("")}},
    {"P-MAIL-13", TEXT("A=="), 0, 0, 2, {TEXT("")}},
    {"P-MAIL-13", TEXT("A=b=c"), 0, 0, 3, {TEXT("")}},
    {"P-MAIL-13", TEXT("A=abcdefghijkl=c"), 0, 0, 14, {TEXT("")}},
    {"P-MAIL-13", TEXT("=b"), 0, 0, 0, {TEXT("")}},
    {"P-MAIL-13", TEXT("-A"), 0, 0, 0, {TEXT("")}},
    {"P-MAIL-13", TEXT("A_B"), 0, 0, 1, {TEXT("")}},
    {"P-MAIL-13", TEXT("A B=\x7F"), 0, 1, 4, {TEXT("A")}},
    {"P-MAIL-13", TEXT("A=b\0"), 0, 0, 3, {TEXT("")}},
    {"P-MAIL-13", TEXT("A=b\r\n"), 0, 0, 3, {TEXT("")}},
    {"P-ADDR-19", TEXT("X=\xC3\xA9"), 0, 0, 2, {TEXT("")}},
    {"P-ADDR-19", TEXT("X=abcdefgh\xC3\xA9"), 0, 0, 10, {TEXT("")}},
    {"P-UTF8-04", TEXT("X\xC3\xA9=a"), UTF8, 0, 1, {TEXT("")}},
    {"S-UTF8-06", TEXT("X=a\xC3"), UTF8, 0, 3, {TEXT("")}},
    {"S-UTF8-06", TEXT("X=\xC3\xA9\xED\xA0\x80"), UTF8, 0, 4, {TEXT("")}},
};

static void check_member(const struct list_row *row, ehlo_span text, const ehlo_parameter *got, ehlo_span want)
{
  const char *equals = memchr(want.ptr, '=', want.len);
  size_t keyword_length = equals == NULL ? want.len : (size_t)(equals - want.ptr);
  CHECK(row->rule, text, ehlo_span_equal(got->raw, want) && lies_inside(got->raw, text));
  CHECK(row->rule, text, same_place(got->keyword, front(got->raw, keyword_length)));
  CHECK(row->rule, text, got->has_value == (equals != NULL));
  CHECK(row->rule, text, got->value.len == (equals == NULL ? 0 : want.len - keyword_length - 1));
  CHECK(row->rule, text, equals == NULL || got->value.ptr == got->raw.ptr + keyword_length + 1);
}

static void lists_are_taken_apart(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(lists); i++) {
    const struct list_row *row = &lists[i];
    ehlo_span text = guard_copy(0, row->text);
    ehlo_span rest = text;
    ehlo_parameter parameter;
    for (unsigned member = 0; member < row->count; member++) {
      memset(&parameter, 0xAA, sizeof parameter);
      CHECK(row->rule, text, ehlo_parameter_next(&rest, row->flags, &parameter) == 1);
      check_member(row, text, &parameter, row->members[member]);
    }
    memset(&parameter, 0xAA, sizeof parameter);
    int result = ehlo_parameter_next(&rest, row->flags, &parameter);
    CHECK(row->rule, text, is_zero(&parameter, sizeof parameter));
    if (row->trouble == NO_TROUBLE) {
      CHECK(row->rule, text, result == 0 && rest.len == 0);
    } else {
      CHECK(row->rule, text, result == EHLO_ERR_SYNTAX);
      CHECK(row->rule, text, rest.len == text.len - row->trouble && rest.ptr == text.ptr + row->trouble);
    }
  }
}

/* Every front part: what it gives lies inside it, and there is an end. */
static void front_parts_of_lists_come_to_an_end(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(lists); i++) {
    for (size_t length = 0; length < lists[i].text.len; length++) {
      ehlo_span text = guard_copy(0, front(lists[i].text, length));
      ehlo_span rest = text;
      ehlo_parameter parameter;
      int result;
      unsigned calls = 0;
      do {
        size_t before = rest.len;
        result = ehlo_parameter_next(&rest, lists[i].flags, &parameter);
        CHECK("P-MAIL-13", text, lies_inside(parameter.raw, text) && lies_inside(rest, text));
        CHECK("P-MAIL-13", text, result != 1 || rest.len < before);
        calls++;
      } while (result == 1 && calls < 100);
      CHECK("P-MAIL-13", text, result == 0 || result == EHLO_ERR_SYNTAX);
    }
  }
}

/* Every octet at every place of a value, so at every place of a machine word. */
static void each_octet_stands_where_it_may(void **state)
{
  (void)state;
  for (unsigned octet = 0; octet < 256; octet++) {
    int in_value = octet >= 33 && octet <= 126 && octet != '=';
    for (size_t length = 1; length <= 20; length++) {
      for (size_t at = 0; at < length; at++) {
        char text[32] = "X=";
        memset(text + 2, at % 2 == 0 ? '!' : '~', length);
        text[2 + at] = (char)octet;
        ehlo_span list = guard_copy(0, (ehlo_span){text, 2 + length});
        ehlo_parameter parameter;
        int good = in_value || (octet == ' ' && at > 0);
        CHECK("P-MAIL-13", list, (ehlo_parameter_next(&list, 0, &parameter) == 1) == good);
        CHECK("P-MAIL-13", list, !in_value || (parameter.value.len == length && list.len == 0));
      }
    }
    char text[] = {'a', (char)octet, 'b'};
    ehlo_span list = guard_copy(0, (ehlo_span){text, sizeof text});
    ehlo_parameter parameter;
    int in_keyword = (octet >= '0' && octet <= '9') || (octet >= 'A' && octet <= 'Z') ||
                     (octet >= 'a' && octet <= 'z') || octet == '-';
    CHECK("P-MAIL-13", list,
          (ehlo_parameter_next(&list, 0, &parameter) == 1) == (in_keyword || octet == '=' || octet == ' '));
  }
}

static void keywords_are_known_in_any_case(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_span text;
    uint32_t id;
  } rows[] = {
      {"P-SIZE-02", TEXT("SIZE=1"), EHLO_PARAMETER_SIZE},
      {"P-CMD-03", TEXT("size=1"), EHLO_PARAMETER_SIZE},
      {"P-CMD-03", TEXT("sIzE=1"), EHLO_PARAMETER_SIZE},
      {"P-8BIT-01", TEXT("BODY=7BIT"), EHLO_PARAMETER_BODY},
      {"P-8BIT-01", TEXT("body=7BIT"), EHLO_PARAMETER_BODY},
      {"P-UTF8-03", TEXT("SMTPUTF8"), EHLO_PARAMETER_SMTPUTF8},
      {"P-UTF8-03", TEXT("smtputf8"), EHLO_PARAMETER_SMTPUTF8},
      {"P-MISC-06", TEXT("UTF8SMTP"), EHLO_PARAMETER_UNKNOWN},
      {"P-DSN-01", TEXT("RET=X"), EHLO_PARAMETER_RET},
      {"P-DSN-01", TEXT("ret=HDRS"), EHLO_PARAMETER_RET},
      {"P-DLBY-01", TEXT("BY=1;N"), EHLO_PARAMETER_BY},
      {"P-DLBY-01", TEXT("by=120;R"), EHLO_PARAMETER_BY},
      {"P-MTPR-01", TEXT("mt-priority=3"), EHLO_PARAMETER_MT_PRIORITY},
      {"P-MAIL-13", TEXT("SIZ=1"), EHLO_PARAMETER_UNKNOWN},
      {"P-MAIL-13", TEXT("X-BY=SIZE"), EHLO_PARAMETER_UNKNOWN},
      {"P-MAIL-13", TEXT("SIZES=1"), EHLO_PARAMETER_UNKNOWN},
      {"P-MAIL-13", TEXT("SIZ-=1"), EHLO_PARAMETER_UNKNOWN},
      {"P-MAIL-13", TEXT("X"), EHLO_PARAMETER_UNKNOWN},
      {"P-MAIL-13", TEXT("X-SIZE=1"), EHLO_PARAMETER_UNKNOWN},
      {"P-MAIL-13", TEXT("BODIES-OF-FIFTEEN"), EHLO_PARAMETER_UNKNOWN},
      {"P-MAIL-13", TEXT("X234567890-234567890-234567890-23456"), EHLO_PARAMETER_UNKNOWN}, /* 36, 32 more than SIZE */
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_span rest = guard_copy(0, rows[i].text);
    ehlo_parameter parameter;
    CHECK(rows[i].rule, rows[i].text, ehlo_parameter_next(&rest, 0, &parameter) == 1);
    CHECK(rows[i].rule, rows[i].text, parameter.id == rows[i].id);
  }
}

/* ---- numbers ---- */

static void numbers_are_read(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_span text;
    size_t max_digits;
    int result;
    uint64_t number;
  } rows[] = {
      {"P-SIZE-02", TEXT("0"), 20, EHLO_OK, 0},
      {"P-SIZE-02", TEXT("7"), 1, EHLO_OK, 7},
      {"P-SIZE-02", TEXT("1234567890"), 20, EHLO_OK, 1234567890},
      {"P-SIZE-02", TEXT("00000000000000000042"), 20, EHLO_OK, 42},
      {"P-SIZE-02", TEXT("18446744073709551614"), 20, EHLO_OK, UINT64_MAX - 1},
      {"P-SIZE-02", TEXT("18446744073709551615"), 20, EHLO_OK, UINT64_MAX},
      {"P-SIZE-02", TEXT("18446744073709551616"), 20, EHLO_OK, UINT64_MAX},
      {"P-SIZE-02", TEXT("18446744073709551620"), 20, EHLO_OK, UINT64_MAX},
      {"P-SIZE-02", TEXT("99999999999999999999"), 20, EHLO_OK, UINT64_MAX},
      {"P-SIZE-02", TEXT("184467440737095516150"), 21, EHLO_OK, UINT64_MAX},
      {"P-SIZE-02", TEXT("100000000000000000000000000000000000000"), 40, EHLO_OK, UINT64_MAX},
      {"P-SIZE-02", TEXT("000000000000000000042"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("123"), 2, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("1"), 0, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT(""), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("-1"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("+1"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT(" 1"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("1 "), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("1a"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("0x1"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("99999999999999999999x"), 40, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("1\0"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("1/"), 20, EHLO_ERR_SYNTAX, 0},
      {"P-SIZE-02", TEXT("1:"), 20, EHLO_ERR_SYNTAX, 0},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    uint64_t number = 12345;
    ehlo_span text = guard_copy(0, rows[i].text);
    CHECK(rows[i].rule, text, ehlo_parse_number(text, rows[i].max_digits, &number) == rows[i].result);
    CHECK(rows[i].rule, text, number == rows[i].number);
  }
}

static void missing_outputs_are_refused(void **state)
{
  (void)state;
  ehlo_span rest = SPAN("A");
  ehlo_span nothing = {NULL, 0};
  ehlo_parameter parameter;
  uint64_t number;
  memset(&parameter, 0xAA, sizeof parameter);
  assert_int_equal(ehlo_parameter_next(NULL, 0, &parameter), EHLO_ERR_ARGUMENT);
  assert_true(is_zero(&parameter, sizeof parameter));
  assert_int_equal(ehlo_parameter_next(&rest, 0, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_parameter_next(&nothing, 0, &parameter), 0);
  assert_int_equal(ehlo_parse_number(SPAN("1"), 1, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_parse_number(nothing, 1, &number), EHLO_ERR_SYNTAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lists_are_taken_apart),
      cmocka_unit_test(front_parts_of_lists_come_to_an_end),
      cmocka_unit_test(each_octet_stands_where_it_may),
      cmocka_unit_test(keywords_are_known_in_any_case),
      cmocka_unit_test(numbers_are_read),
      cmocka_unit_test(missing_outputs_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
