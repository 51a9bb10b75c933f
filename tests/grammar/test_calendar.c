/* test_calendar.c: dates, and the date-time of RFC 3339. */
#include "check.h"

#include "grammar/calendar.h"

/* A walk through all days of the years, one after the other, as children count them. */
static void each_day_has_its_date(void **state)
{
  (void)state;
  static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t time = CALENDAR_FIRST;
  unsigned weekday = 1; /* 0001-01-01 was a Monday, as every first day of 400 years is that begins one behind them */
  for (unsigned year = 1; year <= 9999; year++) {
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    for (unsigned month = 1; month <= 12; month++) {
      unsigned last = days[month - 1] + (month == 2 && leap);
      assert_int_equal(ehlo_month_days(year, month), last);
      for (unsigned day = 1; day <= last; day++) {
        struct civil begin = ehlo_civil_of(time);
        struct civil end = ehlo_civil_of(time + DAY_SECONDS - 1);
        const struct civil want_begin = {year, month, day, weekday, 0, 0, 0};
        const struct civil want_end = {year, month, day, weekday, 23, 59, 59};
        if (memcmp(&begin, &want_begin, sizeof begin) != 0 || memcmp(&end, &want_end, sizeof end) != 0 ||
            ehlo_civil_time(&begin) != time || ehlo_civil_time(&end) != time + DAY_SECONDS - 1) {
          fail_msg("%04u-%02u-%02u is wrong", year, month, day);
        }
        time += DAY_SECONDS;
        weekday = (weekday + 1) % 7;
      }
    }
  }
  assert_true(time - 1 == CALENDAR_LAST);
}

static int format(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_format_date_time(*(const int64_t *)input, buffer, size, length);
}

/* The texts are those of the formatter; the times are what date -u -d gives. */
static void date_times_go_both_ways(void **state)
{
  (void)state;
  static const struct {
    ehlo_span text;
    int64_t time;
  } rows[] = {
      {TEXT("1970-01-01T00:00:00Z"), 0},
      {TEXT("1969-12-31T23:59:59Z"), -1},
      {TEXT("2014-04-03T23:01:00Z"), 1396566060},
      {TEXT("2026-11-26T10:30:00Z"), 1795689000},
      {TEXT("2000-02-29T12:34:56Z"), 951827696},
      {TEXT("1900-03-01T00:00:00Z"), -2203891200},
      {TEXT("2038-01-19T03:14:08Z"), 2147483648},
      {TEXT("0001-01-01T00:00:00Z"), -62135596800},
      {TEXT("9999-12-31T23:59:59Z"), 253402300799},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    int64_t time = 12345;
    ehlo_span text = guard_copy(0, rows[i].text);
    CHECK("P-RRVS-01", text, ehlo_parse_date_time(text, &time) == EHLO_OK && time == rows[i].time);
    check_format("P-FREL-01", rows[i].text, format, &rows[i].time, rows[i].text);
  }
  static const int64_t out[] = {CALENDAR_FIRST - 1, CALENDAR_LAST + 1, INT64_MIN, INT64_MAX};
  for (size_t i = 0; i < ROWS(out); i++) {
    check_refused("P-FREL-01", SPAN("a year of five digits, or none"), format, &out[i], EHLO_ERR_ARGUMENT);
  }
}

static void date_times_are_of_the_grammar(void **state)
{
  (void)state;
  static const struct {
    ehlo_span text;
    int64_t time; /* BAD */
  } rows[] = {
#define BAD INT64_MIN
      {TEXT("1970-01-01t00:00:00z"), 0}, /* strings of ABNF have no case */
      {TEXT("1970-01-01T00:00:00+00:00"), 0},
      {TEXT("1970-01-01T00:00:00-00:00"), 0},
      {TEXT("1970-01-01T02:30:00+02:30"), 0},
      {TEXT("1969-12-31T21:30:00-02:30"), 0},
      {TEXT("1970-01-01T23:59:00+23:59"), 0},
      {TEXT("1985-04-12T23:20:50Z"), 482196050},      /* RFC 3339 5.8 without its fraction */
      {TEXT("1996-12-19T16:39:57-08:00"), 851042397}, /* RFC 3339 5.8 */
      {TEXT("1937-01-01T12:00:27+00:20"), -1041337173},
      /* leap seconds, read as the second behind them */
      {TEXT("1990-12-31T23:59:60Z"), 662688000},      /* RFC 3339 5.8 */
      {TEXT("1990-12-31T15:59:60-08:00"), 662688000}, /* RFC 3339 5.8 */
      {TEXT("1991-01-01T00:59:60+01:00"), 662688000},
      {TEXT("2016-02-29T23:59:60Z"), 1456790400}, /* any month may have one */
      {TEXT("1990-12-30T23:59:60Z"), BAD},
      {TEXT("2016-02-28T23:59:60Z"), BAD},
      {TEXT("1990-12-31T23:58:60Z"), BAD},
      {TEXT("1990-12-31T22:59:60Z"), BAD},
      {TEXT("1990-12-31T23:59:60-08:00"), BAD},
      {TEXT("1990-12-31T23:59:61Z"), BAD},
      {TEXT("9999-12-31T23:59:60Z"), BAD}, /* would be of year 10000 */
      /* days and months */
      {TEXT("2000-02-29T00:00:00Z"), 951782400},
      {TEXT("2024-02-29T00:00:00Z"), 1709164800},
      {TEXT("1900-02-29T00:00:00Z"), BAD},
      {TEXT("2023-02-29T00:00:00Z"), BAD},
      {TEXT("2024-02-30T00:00:00Z"), BAD},
      {TEXT("2024-01-32T00:00:00Z"), BAD},
      {TEXT("2024-04-31T00:00:00Z"), BAD},
      {TEXT("2024-06-31T00:00:00Z"), BAD},
      {TEXT("2024-09-31T00:00:00Z"), BAD},
      {TEXT("2024-11-31T00:00:00Z"), BAD},
      {TEXT("2024-12-31T00:00:00Z"), 1735603200},
      {TEXT("2024-01-00T00:00:00Z"), BAD},
      {TEXT("2024-00-01T00:00:00Z"), BAD},
      {TEXT("2024-13-01T00:00:00Z"), BAD},
      {TEXT("0000-01-01T00:00:00Z"), BAD},
      {TEXT("0000-12-31T23:30:00-01:00"), BAD}, /* year 1 in UTC, but not where it was written */
      {TEXT("0001-01-01T00:00:00+00:01"), BAD}, /* year 0 in UTC */
      {TEXT("9999-12-31T23:59:00-00:01"), BAD}, /* year 10000 in UTC */
      {TEXT("9999-12-31T23:59:59+00:00"), CALENDAR_LAST},
      /* hours and minutes */
      {TEXT("1970-01-01T24:00:00Z"), BAD},
      {TEXT("1970-01-01T23:60:00Z"), BAD},
      {TEXT("1970-01-01T00:00:00+24:00"), BAD},
      {TEXT("1970-01-01T00:00:00+00:60"), BAD},
      /* shapes */
      {TEXT(""), BAD},
      {TEXT("1970-01-01T00:00:00"), BAD},
      {TEXT("1970-01-01T00:00:00ZZ"), BAD},
      {TEXT("1970-01-01T00:00:00Z "), BAD},
      {TEXT(" 1970-01-01T00:00:00Z"), BAD},
      {TEXT("1970-01-01 00:00:00Z"), BAD},
      {TEXT("1970-01-01T00:00:00.0Z"), BAD},
      {TEXT("1970-01-01T00:00:00,0Z"), BAD},
      {TEXT("1970-01-01T00:00:00+0000"), BAD},
      {TEXT("1970-01-01T00:00:00+00"), BAD},
      {TEXT("1970-01-01T00:00:00+00:0"), BAD},
      {TEXT("1970-01-01T00:00:00+00:000"), BAD},
      {TEXT("1970-01-01T00:00:00*00:00"), BAD},
      {TEXT("1970-01-01T00:00:00UTC"), BAD},
      {TEXT("1970-1-1T00:00:00Z"), BAD},
      {TEXT("70-01-01T00:00:00Z"), BAD},
      {TEXT("19700101T000000Z"), BAD},
      {TEXT("1970-01-01T00:00Z"), BAD},
      {TEXT("1970\r01-01T00:00:00Z"), BAD}, /* a hyphen and a colon but for the bit that tells the case of a letter */
      {TEXT("1970-01-01T00\x1A"
            "00:00Z"),
       BAD},
      {TEXT("+970-01-01T00:00:00Z"), BAD},
      {TEXT("12026-01-01T00:00:00Z"), BAD},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    int64_t time = 12345;
    int good = rows[i].time != BAD;
    ehlo_span text = guard_copy(0, rows[i].text);
    CHECK("P-RRVS-01", text, ehlo_parse_date_time(text, &time) == (good ? EHLO_OK : EHLO_ERR_SYNTAX));
    CHECK("P-RRVS-01", text, time == (good ? rows[i].time : 0));
    for (size_t length = 0; good && length < text.len; length++) {
      ehlo_span part = guard_copy(1, front(text, length));
      CHECK("P-RRVS-01", part, ehlo_parse_date_time(part, &time) == EHLO_ERR_SYNTAX);
    }
  }
  assert_int_equal(ehlo_parse_date_time((ehlo_span){NULL, 0}, &(int64_t){0}), EHLO_ERR_SYNTAX);
  assert_int_equal(ehlo_parse_date_time(SPAN("1970-01-01T00:00:00Z"), NULL), EHLO_ERR_ARGUMENT);
}

/* Each octet at each place of a good text. */
static void each_octet_stands_where_it_may(void **state)
{
  (void)state;
  static const char good[] = "2222-11-11T11:11:11+11:11";
  for (size_t at = 0; at < sizeof good - 1; at++) {
    for (unsigned octet = 0; octet < 256; octet++) {
      char text[sizeof good];
      int64_t time;
      memcpy(text, good, sizeof good);
      text[at] = (char)octet;
      ehlo_span span = guard_copy(0, (ehlo_span){text, sizeof good - 1});
      int is_digit = octet >= '0' && octet <= '9';
      int may = octet == (unsigned char)good[at];
      if (good[at] >= '0' && good[at] <= '9') {
        may = is_digit;
      } else if (good[at] == 'T') {
        may = octet == 'T' || octet == 't';
      } else if (good[at] == '+') {
        may = octet == '+' || octet == '-';
      }
      if (may && is_digit) {
        /* The first digits have ranges of their own, and so has the second of a month; the rows above tell them. */
        int first = at == 5 || at == 8 || at == 11 || at == 14 || at == 17 || at == 20 || at == 23;
        if (first || at == 6) {
          continue;
        }
      }
      CHECK("P-RRVS-01", span, (ehlo_parse_date_time(span, &time) == EHLO_OK) == may);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_day_has_its_date),
      cmocka_unit_test(date_times_go_both_ways),
      cmocka_unit_test(date_times_are_of_the_grammar),
      cmocka_unit_test(each_octet_stands_where_it_may),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
