/* calendar.h: from seconds to dates and back. Floor: grammar.
 *
 * Seconds since 1970-01-01 00:00 UTC as POSIX counts them, so without leap seconds; dates of the Gregorian calendar,
 * also for the centuries before there was one (RFC 3339 1). Years 1 to 9999: four digits, and nothing before the common
 * era.
 */
#ifndef EHLO_GRAMMAR_CALENDAR_H
#define EHLO_GRAMMAR_CALENDAR_H

#include "../bytes/buffer.h"
#include "../bytes/span.h"

enum { DAY_SECONDS = 86400 };

/* Seconds since 1970 of the first of year 1 and the last of year 9999. */
#define CALENDAR_FIRST (-62135596800)
#define CALENDAR_LAST  253402300799

struct civil {
  uint32_t year;    /* 1 to 9999 */
  uint32_t month;   /* 1 to 12 */
  uint32_t day;     /* 1 to 31 */
  uint32_t weekday; /* 0 is Sunday */
  uint32_t hour;
  uint32_t minute;
  uint32_t second; /* 0 to 59 */
};

static inline int calendar_holds(int64_t time)
{
  return time >= CALENDAR_FIRST && time <= CALENDAR_LAST;
}

/* The date and time of day of a second that calendar_holds. */
struct civil ehlo_civil_of(int64_t time);

/* The other way. The weekday is not looked at; the others are in their ranges, and a second of 60 is the one after 59.
 */
int64_t ehlo_civil_time(const struct civil *civil);

/* How many days has the month (1 to 12) of that year? */
uint32_t ehlo_month_days(uint32_t year, uint32_t month);

/* Reads a date-time of RFC 3339, the whole span. With `fraction` digits behind the second are let in, and count as a
 * whole second more unless they are all zero. *utc_offset becomes the minutes east of UTC that it was given in. 1, or 0
 * with nothing set. */
int ehlo_read_date_time(ehlo_span text, int fraction, int64_t *time, int32_t *utc_offset);

/* Writes a second that calendar_holds as a date-time in UTC. */
void ehlo_write_date_time(struct writer *writer, int64_t time);

#endif
