/* fuzz_value.c: the parameters of MAIL and RCPT as values, both ways, and date-times.
 *
 * The input: one octet of flags (bit 0 is EHLO_PARSE_UTF8, bit 1 EHLO_PARSE_UNDERSCORE, bit 2 asks for the second
 * half); then a list of parameters, which is also read as one date-time; or, for the second half, eight octets of a
 * number and a text, of which structs are filled.
 *
 * Held to: what is refused leaves the struct as it was; what is read is told again by the formatter, in one way, and
 * read back as the same; what the formatter lets out of a struct filled with anything is a list of good parameters,
 * which say what the struct does; a date-time is what the C library makes of it.
 */
#define _GNU_SOURCE /* timegm */
#include "fuzz_grammar.h"

#include <time.h>

/* ---- date-times ---- */

static int number_at(ehlo_span text, size_t at, size_t digits)
{
  int number = 0;
  for (size_t i = at; i < at + digits; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') {
      return -1;
    }
    number = number * 10 + text.ptr[i] - '0';
  }
  return number;
}

static int letter_at(ehlo_span text, size_t at, char letter)
{
  return text.ptr[at] == letter || text.ptr[at] == letter + 32;
}

/* By the table of RFC 3339 5.6, with timegm, which counts on where a day or a second is too many: then another day or
 * second comes out than went in. 0 if the text is none. */
static int simple_date_time(ehlo_span text, int64_t *time)
{
  if (text.len != 20 && text.len != 25) {
    return 0;
  }
  int year = number_at(text, 0, 4);
  struct tm when = {.tm_year = year - 1900,
                    .tm_mon = number_at(text, 5, 2) - 1,
                    .tm_mday = number_at(text, 8, 2),
                    .tm_hour = number_at(text, 11, 2),
                    .tm_min = number_at(text, 14, 2),
                    .tm_sec = number_at(text, 17, 2)};
  struct tm again = when;
  int leap = when.tm_sec == 60;
  again.tm_sec -= leap;
  int64_t seconds = timegm(&again);
  if (year < 1 || when.tm_mon < 0 || again.tm_mon != when.tm_mon || again.tm_mday != when.tm_mday || when.tm_mday < 1 ||
      again.tm_hour != when.tm_hour || when.tm_min < 0 || when.tm_min > 59 || when.tm_sec < 0 || when.tm_sec > 60 ||
      text.ptr[4] != '-' || text.ptr[7] != '-' || !letter_at(text, 10, 'T') || text.ptr[13] != ':' ||
      text.ptr[16] != ':') {
    return 0;
  }
  if (text.len == 25) {
    int hour = number_at(text, 20, 2);
    int minute = number_at(text, 23, 2);
    int sign = text.ptr[19] == '+' ? 1 : -1;
    if ((text.ptr[19] != '+' && text.ptr[19] != '-') || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        text.ptr[22] != ':') {
      return 0;
    }
    seconds -= (int64_t)sign * (hour * 60 + minute) * 60;
  } else if (!letter_at(text, 19, 'Z')) {
    return 0;
  }
  seconds += leap;
  time_t second = (time_t)seconds;
  gmtime_r(&second, &again);
  *time = seconds;
  return again.tm_year >= 1 - 1900 && again.tm_year <= 9999 - 1900 &&
         (!leap || (again.tm_mday == 1 && again.tm_hour == 0 && again.tm_min == 0 && again.tm_sec == 0));
}

static void check_date_time(ehlo_span text)
{
  int64_t time = 12345;
  int64_t want = 0;
  int good = simple_date_time(text, &want);
  REQUIRE(ehlo_parse_date_time(text, &time) == (good ? EHLO_OK : EHLO_ERR_SYNTAX));
  REQUIRE(time == (good ? want : 0));
}

static void check_time(int64_t time)
{
  char text[64] = "";
  char want[64] = "";
  size_t length;
  time_t second = (time_t)time;
  struct tm when;
  int64_t again;
  int result = ehlo_format_date_time(time, text, sizeof text, &length);
  if (gmtime_r(&second, &when) == NULL || when.tm_year < 1 - 1900 || when.tm_year > 9999 - 1900) {
    REQUIRE(result == EHLO_ERR_ARGUMENT && length == 0);
    return;
  }
  snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02dZ", when.tm_year + 1900, when.tm_mon + 1, when.tm_mday,
           when.tm_hour, when.tm_min, when.tm_sec);
  REQUIRE(result == EHLO_OK && length == 20 && memcmp(text, want, 20) == 0);
  ehlo_span whole = {text, length};
  REQUIRE(ehlo_parse_date_time(whole, &again) == EHLO_OK && again == time);
}

/* ---- parameters ---- */

struct said {
  ehlo_mail_parameters mail;
  ehlo_rcpt_parameters rcpt;
};

static struct said nothing(void)
{
  struct said said;
  memset(&said, 0, sizeof said);
  said.mail.struct_size = sizeof said.mail;
  said.rcpt.struct_size = sizeof said.rcpt;
  return said;
}

enum { ON_MAIL = 1, ON_RCPT = 2 };

/* Reads a list as far as it is good, as one of the command, or of both at once. Returns how many it held of neither; -1
 * if it is not good to its end. */
static int read_list(ehlo_span text, uint32_t flags, int on, struct said *said)
{
  ehlo_parameter parameter;
  int others = 0;
  int result;
  while ((result = ehlo_parameter_next(&text, flags, &parameter)) == 1) {
    struct said before = *said;
    int mail = EHLO_ERR_NOT_OFFERED;
    int rcpt = EHLO_ERR_NOT_OFFERED;
    if ((on & ON_MAIL) != 0) {
      mail = ehlo_mail_parameter_read(&parameter, flags, &said->mail);
    }
    if ((on & ON_RCPT) != 0) {
      rcpt = ehlo_rcpt_parameter_read(&parameter, flags, &said->rcpt);
    }
    REQUIRE(mail == EHLO_ERR_NOT_OFFERED || rcpt == EHLO_ERR_NOT_OFFERED);
    REQUIRE(mail == EHLO_OK || memcmp(&before.mail, &said->mail, sizeof before.mail) == 0);
    REQUIRE(rcpt == EHLO_OK || memcmp(&before.rcpt, &said->rcpt, sizeof before.rcpt) == 0);
    if (mail == EHLO_ERR_SYNTAX || rcpt == EHLO_ERR_SYNTAX) {
      return -1;
    }
    if (mail == EHLO_OK || rcpt == EHLO_OK) { /* once and not twice */
      struct said again = *said;
      REQUIRE(mail != EHLO_OK || ehlo_mail_parameter_read(&parameter, flags, &again.mail) == EHLO_ERR_SYNTAX);
      REQUIRE(rcpt != EHLO_OK || ehlo_rcpt_parameter_read(&parameter, flags, &again.rcpt) == EHLO_ERR_SYNTAX);
    } else {
      REQUIRE(on != (ON_MAIL | ON_RCPT) || parameter.id == EHLO_PARAMETER_UNKNOWN);
      others++;
    }
  }
  return result == 0 ? others : -1;
}

/* Formats into blocks of exactly the size told. Returns the result. */
static int tell_mail(const ehlo_mail_parameters *mail, uint32_t flags, ehlo_span *text)
{
  size_t needed;
  size_t length;
  char *none = block_of(0);
  int result = ehlo_format_mail_parameters(mail, flags, none, 0, &needed);
  free(none);
  REQUIRE(result == EHLO_ERR_BUFFER ? needed > 0 : needed == 0);
  char *buffer = block_of(needed);
  if (result == EHLO_ERR_BUFFER) {
    result = ehlo_format_mail_parameters(mail, flags, buffer, needed, &length);
    REQUIRE(result == EHLO_OK && length == needed);
  }
  text->ptr = buffer;
  text->len = needed;
  return result;
}

static int tell_rcpt(const ehlo_rcpt_parameters *rcpt, uint32_t flags, ehlo_span *text)
{
  size_t needed;
  size_t length;
  char *none = block_of(0);
  int result = ehlo_format_rcpt_parameters(rcpt, flags, none, 0, &needed);
  free(none);
  REQUIRE(result == EHLO_ERR_BUFFER ? needed > 0 : needed == 0);
  char *buffer = block_of(needed);
  if (result == EHLO_ERR_BUFFER) {
    result = ehlo_format_rcpt_parameters(rcpt, flags, buffer, needed, &length);
    REQUIRE(result == EHLO_OK && length == needed);
  }
  text->ptr = buffer;
  text->len = needed;
  return result;
}

static int same_mail(const ehlo_mail_parameters *a, const ehlo_mail_parameters *b)
{
  return a->has_size == b->has_size && a->size == b->size && a->body == b->body && a->smtputf8 == b->smtputf8 &&
         a->ret == b->ret && ehlo_span_equal(a->envid, b->envid) && ehlo_span_equal(a->auth, b->auth) &&
         a->requiretls == b->requiretls && a->has_priority == b->has_priority && a->priority == b->priority &&
         a->by_mode == b->by_mode && a->by_trace == b->by_trace && a->by_time == b->by_time &&
         a->hold_for == b->hold_for && a->has_hold_until == b->has_hold_until && a->hold_until == b->hold_until &&
         ehlo_span_equal(a->solicit, b->solicit) && ehlo_span_equal(a->mtrk, b->mtrk) &&
         a->has_mtrk_timeout == b->has_mtrk_timeout && a->mtrk_timeout == b->mtrk_timeout &&
         ehlo_span_equal(a->submitter, b->submitter) && a->conperm == b->conperm &&
         ehlo_span_equal(a->transid, b->transid);
}

static int same_rcpt(const ehlo_rcpt_parameters *a, const ehlo_rcpt_parameters *b)
{
  return a->notify == b->notify && a->conneg == b->conneg && ehlo_span_equal(a->orcpt_type, b->orcpt_type) &&
         ehlo_span_equal(a->orcpt_address, b->orcpt_address) && a->rrvs == b->rrvs &&
         a->rrvs_action == b->rrvs_action && a->rrvs_time == b->rrvs_time;
}

static ehlo_span behind_space(ehlo_span text)
{
  REQUIRE(text.len == 0 || text.ptr[0] == ' ');
  return text.len == 0 ? text : part_of(text, 1, text.len);
}

static int may_stand_together(const ehlo_mail_parameters *mail)
{
  int late = mail->by_mode != EHLO_BY_NONE && (int64_t)mail->hold_for > mail->by_time;
  return (mail->hold_for == 0 || (!late && !mail->has_hold_until)) && (mail->mtrk.len == 0 || mail->envid.len > 0);
}

/* What was told says the same as the struct and its others, in the text that it is told in again. */
static void check_mail_told(const ehlo_mail_parameters *mail, ehlo_span text, uint32_t flags)
{
  struct said want = nothing();
  struct said again = nothing();
  ehlo_span once_more;
  want.mail = *mail;
  int others = read_list(mail->others, flags, ON_MAIL, &want);
  REQUIRE(others >= 0 && read_list(behind_space(text), flags, ON_MAIL, &again) == others);
  REQUIRE(same_mail(&again.mail, &want.mail) && may_stand_together(&want.mail));
  if (mail->others.len == 0) {
    REQUIRE(tell_mail(&again.mail, flags, &once_more) == EHLO_OK && ehlo_span_equal(once_more, text));
    release(once_more);
  }
}

static void check_rcpt_told(const ehlo_rcpt_parameters *rcpt, ehlo_span text, uint32_t flags)
{
  struct said want = nothing();
  struct said again = nothing();
  ehlo_span once_more;
  want.rcpt = *rcpt;
  int others = read_list(rcpt->others, flags, ON_RCPT, &want);
  REQUIRE(others >= 0 && read_list(behind_space(text), flags, ON_RCPT, &again) == others);
  REQUIRE(same_rcpt(&again.rcpt, &want.rcpt));
  if (rcpt->others.len == 0) {
    REQUIRE(tell_rcpt(&again.rcpt, flags, &once_more) == EHLO_OK && ehlo_span_equal(once_more, text));
    release(once_more);
  }
}

static void check_list(ehlo_span text, uint32_t flags)
{
  struct said said = nothing();
  ehlo_span mail;
  ehlo_span rcpt;
  (void)read_list(text, flags, ON_MAIL | ON_RCPT, &said);
  const ehlo_span *spans[] = {&said.mail.envid,      &said.mail.auth,         &said.mail.solicit,
                              &said.mail.mtrk,       &said.mail.submitter,    &said.mail.transid,
                              &said.rcpt.orcpt_type, &said.rcpt.orcpt_address};
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
    REQUIRE(lies_inside(*spans[i], text));
  }
  if (may_stand_together(&said.mail)) {
    REQUIRE(tell_mail(&said.mail, flags, &mail) == EHLO_OK);
    check_mail_told(&said.mail, mail, flags);
  } else {
    REQUIRE(tell_mail(&said.mail, flags, &mail) == EHLO_ERR_ARGUMENT);
  }
  REQUIRE(tell_rcpt(&said.rcpt, flags, &rcpt) == EHLO_OK);
  check_rcpt_told(&said.rcpt, rcpt, flags);
  release(mail);
  release(rcpt);
}

/* ---- structs filled with anything ---- */

static ehlo_span take_part(ehlo_span *text)
{
  size_t length = 0;
  while (length < text->len && text->ptr[length] != '\n') {
    length++;
  }
  ehlo_span part = part_of(*text, 0, length);
  *text = part_of(*text, length + (length < text->len), text->len);
  return part;
}

/* Numbers near the ends of what they may be, and others. */
static void fill(struct said *said, uint64_t number, ehlo_span text)
{
  static const int32_t ends[] = {0, 1, -1, 9, -9, 10, -10, 999999999, -999999999, 1000000000, -1000000000, INT32_MIN};
  ehlo_mail_parameters *mail = &said->mail;
  ehlo_rcpt_parameters *rcpt = &said->rcpt;
  mail->has_size = number & 1;
  mail->size = mail->has_size ? number : 0;
  mail->body = number >> 1 & 7;
  mail->smtputf8 = number >> 4 & 1;
  mail->ret = number >> 5 & 3;
  mail->requiretls = number >> 7 & 1;
  mail->has_priority = number >> 8 & 1;
  mail->priority = mail->has_priority ? ends[(number >> 9 & 15) % 12] : 0;
  mail->by_mode = number >> 13 & 3;
  mail->by_time = mail->by_mode != 0 ? ends[(number >> 15 & 15) % 12] : 0;
  mail->by_trace = mail->by_mode != 0 ? number >> 19 & 1 : 0;
  mail->hold_for = (number >> 20 & 1) != 0 ? (uint32_t)ends[(number >> 21 & 15) % 12] : 0;
  mail->has_hold_until = number >> 25 & 1;
  mail->hold_until = mail->has_hold_until ? (int64_t)(number >> 20) - 62135596801 : 0;
  mail->conperm = number >> 26 & 1;
  mail->envid = take_part(&text);
  mail->auth = take_part(&text);
  mail->solicit = take_part(&text);
  mail->mtrk = take_part(&text);
  mail->has_mtrk_timeout = mail->mtrk.len > 0 ? number >> 27 & 1 : 0;
  mail->mtrk_timeout = mail->has_mtrk_timeout ? (uint32_t)ends[(number >> 28 & 15) % 12] : 0;
  mail->submitter = take_part(&text);
  mail->transid = take_part(&text);
  mail->others = take_part(&text);
  rcpt->notify = number >> 32 & 31;
  rcpt->conneg = number >> 37 & 1;
  rcpt->rrvs = number >> 38 & 3;
  rcpt->rrvs_action = rcpt->rrvs != 0 ? (number >> 40 & 1) | (rcpt->rrvs == EHLO_RRVS_CONTINUE) : 0;
  rcpt->rrvs_time = rcpt->rrvs != 0 ? (int64_t)(number >> 20) - 62135596801 : 0;
  rcpt->orcpt_type = take_part(&text);
  rcpt->orcpt_address = take_part(&text);
  rcpt->others = take_part(&text);
}

static void check_filled(uint64_t number, ehlo_span text, uint32_t flags)
{
  struct said said = nothing();
  ehlo_span mail;
  ehlo_span rcpt;
  fill(&said, number, text);
  int on_mail = tell_mail(&said.mail, flags, &mail);
  int on_rcpt = tell_rcpt(&said.rcpt, flags, &rcpt);
  REQUIRE(on_mail == EHLO_OK || on_mail == EHLO_ERR_TEXT || on_mail == EHLO_ERR_ARGUMENT);
  REQUIRE(on_rcpt == EHLO_OK || on_rcpt == EHLO_ERR_TEXT || on_rcpt == EHLO_ERR_ARGUMENT);
  if (on_mail == EHLO_OK) {
    check_mail_told(&said.mail, mail, flags);
  }
  if (on_rcpt == EHLO_OK) {
    check_rcpt_told(&said.rcpt, rcpt, flags);
  }
  release(mail);
  release(rcpt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1) {
    return 0;
  }
  uint32_t flags = data[0] & (EHLO_PARSE_UTF8 | EHLO_PARSE_UNDERSCORE);
  if ((data[0] & 4) == 0) {
    ehlo_span text = copy_of(data + 1, size - 1);
    check_date_time(text);
    check_list(text, flags);
    release(text);
    return 0;
  }
  uint64_t number = 0;
  size_t at = 1;
  for (; at < 9 && at < size; at++) {
    number = number << 8 | data[at];
  }
  ehlo_span text = copy_of(data + at, size - at);
  check_time((int64_t)number);
  check_time((int64_t)(number % 315569520000) - 62135596800 - 1000);
  check_filled(number, text, flags);
  release(text);
  return 0;
}
