/* test_attribute.c: the attributes of XCLIENT and XFORWARD. */
#include "check.h"

static const struct {
  ehlo_span text;
  unsigned count; /* attributes before the end or the trouble */
  int result;     /* behind the last: 0 or EHLO_ERR_SYNTAX */
  ehlo_span name; /* of the last that was good */
  ehlo_span value;
} lists[] = {
    {TEXT(""), 0, 0, TEXT(""), TEXT("")},
    {TEXT("ADDR=192.0.2.1"), 1, 0, TEXT("ADDR"), TEXT("192.0.2.1")},
    {TEXT("addr=IPV6:2001:db8::1"), 1, 0, TEXT("addr"), TEXT("IPV6:2001:db8::1")},
    {TEXT("NAME=spike.example ADDR=192.0.2.1"), 2, 0, TEXT("ADDR"), TEXT("192.0.2.1")},
    {TEXT("NAME=[UNAVAILABLE] X-Y_1=[TEMPUNAVAIL]"), 2, 0, TEXT("X-Y_1"), TEXT("[TEMPUNAVAIL]")},
    {TEXT("LOGIN=a+2Bb+3Dc"), 1, 0, TEXT("LOGIN"), TEXT("a+2Bb+3Dc")},
    {TEXT("A=+00"), 1, 0, TEXT("A"), TEXT("+00")},
    {TEXT("A"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A="), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("=a"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b=c"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b C"), 1, EHLO_ERR_SYNTAX, TEXT("A"), TEXT("b")},
    {TEXT("A=b "), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT(" A=b"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b  C=d"), 1, EHLO_ERR_SYNTAX, TEXT("A"), TEXT("b")},
    {TEXT("A=b\tC=d"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A =b"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A.B=b"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=+"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b+4"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b+4G"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b+4a"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=+ B=c"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b\r\nQUIT"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=b\0"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
    {TEXT("A=\xC3\xA9"), 0, EHLO_ERR_SYNTAX, TEXT(""), TEXT("")},
};

static void lists_are_taken_apart(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(lists); i++) {
    ehlo_span text = guard_copy(0, lists[i].text);
    ehlo_span rest = text;
    ehlo_attribute attribute;
    ehlo_attribute last = {{NULL, 0}, {NULL, 0}};
    unsigned count = 0;
    int result;
    while ((result = ehlo_attribute_next(&rest, &attribute)) == 1) {
      last = attribute;
      count++;
      CHECK("list", text, lies_inside(attribute.name, text) && lies_inside(attribute.value, text));
    }
    CHECK("list", text, result == lists[i].result && count == lists[i].count);
    CHECK("list", text, is_zero(&attribute, sizeof attribute));
    CHECK("list", text, (rest.len == 0) == (result == 0));
    CHECK("list", text, ehlo_span_equal(last.name, lists[i].name) && ehlo_span_equal(last.value, lists[i].value));
  }
}

static void null_is_told(void **state)
{
  (void)state;
  ehlo_attribute attribute;
  ehlo_span rest = SPAN("A=b");
  memset(&attribute, 0xEE, sizeof attribute);
  assert_int_equal(ehlo_attribute_next(NULL, &attribute), EHLO_ERR_ARGUMENT);
  assert_true(is_zero(&attribute, sizeof attribute));
  assert_int_equal(ehlo_attribute_next(&rest, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(rest.len, 3);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(lists_are_taken_apart), cmocka_unit_test(null_is_told)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
