/* calendar.c: dates, and the date-time of RFC 3339. Floor: grammar. */
#include "calendar.h"

#include "ehlo/parameters.h"

/* ---- days ---- */

/* From 0000-03-01 to 1970-01-01, a Thursday. Years are counted from March here: the leap day is then their last. */
enum { DAYS_TO_1970 = 719468, DAYS_IN_400_YEARS = 146097 };

struct civil ehlo_civil_of(int64_t time)
{
  uint64_t seconds = (uint64_t)(time + (int64_t)DAYS_TO_1970 * DAY_SECONDS);
  uint32_t days = (uint32_t)(seconds / DAY_SECONDS);
  uint32_t second_of_day = (uint32_t)(seconds % DAY_SECONDS);

  uint32_t day = days % DAYS_IN_400_YEARS;
  uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  day -= year * 365 + year / 4 - year / 100;
  /* From March on the months have 31 30 31 30 31 days, over and over: 153 in five months. */
  uint32_t month = (5 * day + 2) / 153;
  struct civil civil = {
      .year = year + days / DAYS_IN_400_YEARS * 400 + (month > 9),
      .month = month > 9 ? month - 9 : month + 3,
      .day = day - (153 * month + 2) / 5 + 1,
      .weekday = (days + 3) % 7,
      .hour = second_of_day / 3600,
      .minute = second_of_day / 60 % 60,
      .second = second_of_day % 60,
  };
  return civil;
}

int64_t ehlo_civil_time(const struct civil *civil)
{
  uint32_t before_march = civil->month < 3;
  uint32_t year = civil->year - before_march;
  uint32_t month = civil->month + 12 * before_march - 3;
  uint32_t days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + civil->day - 1;
  return ((int64_t)days - DAYS_TO_1970) * DAY_SECONDS + civil->hour * 3600 + civil->minute * 60 + civil->second;
}

uint32_t ehlo_month_days(uint32_t year, uint32_t month)
{
  if (month == 2) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  }
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* ---- date-time ---- */

/* Do the octets at `at` look like `shape`, where 0 stands for any digit and a letter for either case of it? */
static int has_shape(const unsigned char *at, const char *shape)
{
  for (; *shape != '\0'; shape++, at++) {
    if (*shape == '0' ? !octet_is(*at, CLASS_DIGIT) : octet_lower(*at) != octet_lower((unsigned char)*shape)) {
      return 0;
    }
  }
  return 1;
}

static uint32_t two_digits(const unsigned char *at)
{
  return (uint32_t)((at[0] - '0') * 10 + at[1] - '0');
}

/* full-date    = date-fullyear "-" date-month "-" date-mday                                         (RFC 3339 5.6)
 * partial-time = time-hour ":" time-minute ":" time-second [time-secfrac]    time-secfrac = "." 1*DIGIT
 * date-fullyear = 4DIGIT    date-month = 2DIGIT ; 01-12    date-mday = 2DIGIT ; 01-28, 01-29, 01-30, 01-31
 * time-hour = 2DIGIT ; 00-23    time-minute = 2DIGIT ; 00-59    time-second = 2DIGIT ; 00-58, 00-59, 00-60
 * All but the fraction, in octets of the right shape. */
static int read_civil(const unsigned char *at, struct civil *civil)
{
  civil->year = two_digits(at) * 100 + two_digits(at + 2);
  civil->month = two_digits(at + 5);
  civil->day = two_digits(at + 8);
  civil->hour = two_digits(at + 11);
  civil->minute = two_digits(at + 14);
  civil->second = two_digits(at + 17);
  return civil->year >= 1 && civil->month >= 1 && civil->month <= 12 && civil->day >= 1 &&
         civil->day <= ehlo_month_days(civil->year, civil->month) && civil->hour < 24 && civil->minute < 60 &&
         civil->second <= 60;
}

/* time-offset = "Z" / time-numoffset    time-numoffset = ("+" / "-") time-hour ":" time-minute     (RFC 3339 5.6)
 * From `at` to `end`. */
static int read_offset(const unsigned char *at, const unsigned char *end, int32_t *minutes)
{
  *minutes = 0;
  if (end - at == 1) {
    return has_shape(at, "Z");
  }
  if (end - at != 6 || (*at != '+' && *at != '-') || !has_shape(at + 1, "00:00")) {
    return 0;
  }
  uint32_t hour = two_digits(at + 1);
  uint32_t minute = two_digits(at + 4);
  int32_t east = (int32_t)(hour * 60 + minute);
  *minutes = *at == '-' ? -east : east;
  return hour < 24 && minute < 60;
}

/* date-time = full-date "T" full-time    full-time = partial-time time-offset                       (RFC 3339 5.6)
 * "T" and "Z" in either case, as strings of ABNF are.
 *
 * A second of 60 is let in where leap seconds go, at the end of a month in UTC (RFC 3339 5.7, D); whether there was one
 * then, nobody can tell for the future. It is read as the second behind it, which POSIX gives the same number. */
int ehlo_read_date_time(ehlo_span text, int fraction, int64_t *time, int32_t *utc_offset)
{
  static const char shape[] = "0000-00-00T00:00:00";
  const unsigned char *at = span_begin(text);
  const unsigned char *end = span_end(text);
  struct civil civil;
  int more = 0;
  int32_t minutes;
  if (text.len < sizeof shape - 1 || !has_shape(at, shape) || !read_civil(at, &civil)) {
    return 0;
  }
  at += sizeof shape - 1;
  if (fraction && end - at >= 2 && *at == '.' && octet_is(at[1], CLASS_DIGIT)) {
    for (at++; at < end && octet_is(*at, CLASS_DIGIT); at++) {
      more |= *at != '0';
    }
  }
  if (!read_offset(at, end, &minutes)) {
    return 0;
  }
  int64_t utc = ehlo_civil_time(&civil) - (int64_t)minutes * 60;
  if (!calendar_holds(utc) || (civil.second == 60 && (utc % DAY_SECONDS != 0 || ehlo_civil_of(utc).day != 1)) ||
      !calendar_holds(utc + more)) {
    return 0;
  }
  *time = utc + more;
  *utc_offset = minutes;
  return 1;
}

int ehlo_parse_date_time(ehlo_span text, int64_t *time)
{
  int32_t utc_offset;
  if (time == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *time = 0;
  return ehlo_read_date_time(text, 0, time, &utc_offset) ? EHLO_OK : EHLO_ERR_SYNTAX;
}

void ehlo_write_date_time(struct writer *writer, int64_t time)
{
  struct civil civil = ehlo_civil_of(time);
  const uint32_t parts[] = {civil.month, civil.day, civil.hour, civil.minute, civil.second};
  write_number(writer, civil.year, 4);
  for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
    write_octet(writer, "--T::"[i]);
    write_number(writer, parts[i], 2);
  }
  write_octet(writer, 'Z');
}

int ehlo_format_date_time(int64_t time, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL || !calendar_holds(time)) {
    return EHLO_ERR_ARGUMENT;
  }
  struct writer writer = writer_on(buffer, size);
  ehlo_write_date_time(&writer, time);
  return writer_end(&writer, length);
}
