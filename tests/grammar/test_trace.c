/* test_trace.c: Received and Return-Path. */
#include "check.h"

/* Mon, 23 Nov 2026 20:56:03 +0000 */
enum { SOME_TIME = 1795467363 };

static int received(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_format_received(input, buffer, size, length);
}

static ehlo_received ordinary(void)
{
  return (ehlo_received){
      .hello = SPAN("mail.example.org"),
      .client_name = SPAN("client.example.org"),
      .client_address = SPAN("[192.0.2.1]"),
      .by = SPAN("mx.example.com"),
      .with = SPAN("ESMTP"),
      .id = SPAN("4XyZ.1"),
      .recipient = SPAN("<user@example.com>"),
      .time = SOME_TIME,
  };
}

#define DATE "Mon, 23 Nov 2026 20:56:03 +0000\r\n"

/* ---- what is said ---- */

static void clauses_come_in_the_order_of_the_rule(void **state)
{
  (void)state;
  const ehlo_span nothing = {NULL, 0};
  ehlo_received all = ordinary();
  check_format("S-DATA-20", all.hello, received, &all,
               SPAN("Received: from mail.example.org (client.example.org [192.0.2.1])\r\n"
                    "\tby mx.example.com with ESMTP id 4XyZ.1 for <user@example.com>;\r\n"
                    "\t" DATE));

  ehlo_received least = {.by = SPAN("mx"), .with = SPAN("SMTP"), .time = SOME_TIME};
  check_format("S-DATA-20", least.by, received, &least, SPAN("Received: by mx with SMTP; " DATE));

  struct {
    const char *rule;
    ehlo_span hello, client_name, client_address;
    const char *want;
  } rows[] = {
      {"S-DATA-20", SPAN("a.b"), nothing, SPAN("[192.0.2.1]"), "from a.b ([192.0.2.1])"},
      {"S-DATA-20", SPAN("a.b"), nothing, SPAN("[IPv6:::1]"), "from a.b ([IPv6:::1])"},
      {"S-DATA-20", SPAN("a.b"), SPAN("c.d"), SPAN("[192.0.2.1]"), "from a.b (c.d [192.0.2.1])"},
      {"S-DATA-20", SPAN("a.b"), nothing, nothing, "from a.b"},
      {"S-DATA-20", SPAN("a.b"), SPAN("c.d"), nothing, "from a.b (c.d)"},
      {"S-DATA-20", SPAN("[192.0.2.9]"), nothing, SPAN("[192.0.2.1]"), "from [192.0.2.9] ([192.0.2.1])"},
      {"S-DATA-20", SPAN("[192.0.2.9]"), SPAN("c.d"), SPAN("[192.0.2.1]"), "from [192.0.2.9] (c.d [192.0.2.1])"},
      /* No literal without TCP-info: it would not be an Extended-Domain. */
      {"S-DATA-20", SPAN("[192.0.2.9]"), nothing, nothing, "from unknown (HELO [192.0.2.9])"},
      {"S-DATA-20", SPAN("[192.0.2.9]"), SPAN("c.d"), nothing, "from c.d (c.d) (HELO [192.0.2.9])"},
      {"S-DATA-20", nothing, nothing, SPAN("[192.0.2.1]"), "from [192.0.2.1] ([192.0.2.1])"},
      {"S-DATA-20", nothing, SPAN("c.d"), SPAN("[192.0.2.1]"), "from c.d (c.d [192.0.2.1])"},
      /* Spellings that only a leniency lets in. */
      {"S-DATA-20", SPAN("my_host"), nothing, SPAN("[192.0.2.1]"), "from [192.0.2.1] ([192.0.2.1]) (HELO my_host)"},
      {"S-DATA-20", SPAN("my_host"), SPAN("c.d"), SPAN("[192.0.2.1]"), "from c.d (c.d [192.0.2.1]) (HELO my_host)"},
      {"S-DATA-20", SPAN("a)(\\b\" c"), nothing, nothing, "from unknown (HELO a\\)\\(\\\\b\" c)"},
      {"S-DATA-20", SPAN("a.b."), nothing, nothing, "from unknown (HELO a.b.)"},
      {"S-DATA-20", SPAN("_"), nothing, nothing, "from unknown (HELO _)"},
      {"S-DATA-20", SPAN("_"), SPAN("c"), nothing, "from c (c) (HELO _)"},
      {"S-DATA-20", SPAN("h"), SPAN("c"), nothing, "from h (c)"},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    char want[256];
    ehlo_received one = {.hello = guard_copy(0, rows[i].hello),
                         .client_name = guard_copy(1, rows[i].client_name),
                         .client_address = guard_copy(2, rows[i].client_address),
                         .by = SPAN("mx"),
                         .with = SPAN("LMTP"),
                         .time = SOME_TIME};
    int fits = strlen(rows[i].want) + strlen("Received:  by mx with LMTP;") <= 78;
    assert_true(fits);
    int date_fits = strlen(rows[i].want) + strlen("Received:  by mx with LMTP; " DATE) - 2 <= 78;
    size_t size = (size_t)snprintf(want, sizeof want, "Received: %s by mx with LMTP;%s" DATE, rows[i].want,
                                   date_fits ? " " : "\r\n\t");
    check_format(rows[i].rule, one.hello, received, &one, (ehlo_span){want, size});
  }

  ehlo_received literal = {.by = SPAN("[192.0.2.7]"), .with = SPAN("SMTP"), .id = SPAN("7"), .time = SOME_TIME};
  check_format("S-DATA-20", literal.by, received, &literal,
               SPAN("Received: by [192.0.2.7] ([192.0.2.7]) with SMTP id 7;\r\n\t" DATE));
  ehlo_received route = {
      .by = SPAN("mx"), .with = SPAN("SMTP"), .recipient = SPAN("<@one,@two:\"a b\"@c>"), .time = SOME_TIME};
  check_format("P-ADDR-02", route.recipient, received, &route,
               SPAN("Received: by mx with SMTP for <\"a b\"@c>; " DATE));
  ehlo_received postmaster = {
      .by = SPAN("mx"), .with = SPAN("SMTP"), .recipient = SPAN("<Postmaster>"), .time = SOME_TIME};
  check_format("S-RCPT-03", postmaster.recipient, received, &postmaster,
               SPAN("Received: by mx with SMTP for <Postmaster>; " DATE));
  ehlo_received wide = {.hello = SPAN("\xC3\xA9.b"),
                        .client_name = SPAN("\xC3\xA9.c"),
                        .client_address = SPAN("[192.0.2.1]"),
                        .by = SPAN("mx"),
                        .with = SPAN("UTF8SMTP"),
                        .recipient = SPAN("<\xC3\xA9@\xC3\xA9>"),
                        .utf8 = 1,
                        .time = SOME_TIME};
  check_format("S-UTF8-18", wide.hello, received, &wide,
               SPAN("Received: from \xC3\xA9.b (\xC3\xA9.c [192.0.2.1]) by mx with UTF8SMTP "
                    "for <\xC3\xA9@\xC3\xA9>;\r\n\t" DATE));
}

/* ---- what is not let out ---- */

static void parts_are_checked(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    size_t part; /* its offset */
    ehlo_span text;
    uint32_t utf8;
  } rows[] = {
#define PART(name) offsetof(ehlo_received, name)
      {"S-DATA-20", PART(hello), TEXT("a\r\nX: y"), 1},
      {"S-DATA-20", PART(hello), TEXT("a\tb"), 1},
      {"S-DATA-20", PART(hello), TEXT("a\0"), 1},
      {"S-DATA-20", PART(hello), TEXT("\x7F"), 1},
      {"S-DATA-20", PART(hello), TEXT("\xC3\xA9"), 0},
      {"S-UTF8-06", PART(hello), TEXT("a\xC3"), 1},
      {"S-DATA-20", PART(client_name), TEXT("a b"), 1},
      {"S-DATA-20", PART(client_name), TEXT("[192.0.2.1]"), 1},
      {"S-DATA-20", PART(client_name), TEXT("a."), 1},
      {"S-DATA-20", PART(client_name), TEXT("a_b"), 1},
      {"S-DATA-20", PART(client_name), TEXT("a)\r\n"), 1},
      {"S-DATA-20", PART(client_name), TEXT("\xC3\xA9"), 0},
      {"S-DATA-20", PART(client_address), TEXT("192.0.2.1"), 1},
      {"S-DATA-20", PART(client_address), TEXT("example.org"), 1},
      {"S-DATA-20", PART(client_address), TEXT("[192.0.2.1] "), 1},
      {"S-DATA-20", PART(client_address), TEXT("[x:y]"), 1},
      {"S-DATA-20", PART(by), TEXT(""), 1},
      {"S-DATA-20", PART(by), TEXT("a b"), 1},
      {"S-DATA-20", PART(by), TEXT("a_b"), 1},
      {"S-DATA-20", PART(by), TEXT("\xC3\xA9"), 1},
      {"S-DATA-20", PART(with), TEXT(""), 1},
      {"S-DATA-20", PART(with), TEXT("E SMTP"), 1},
      {"S-DATA-20", PART(with), TEXT("ESMTP;"), 1},
      {"S-DATA-20", PART(with), TEXT("a.b"), 1},
      {"S-DATA-20", PART(with), TEXT("\xC3\xA9"), 1},
      {"S-DATA-20", PART(id), TEXT("a b"), 1},
      {"S-DATA-20", PART(id), TEXT(".a"), 1},
      {"S-DATA-20", PART(id), TEXT("a."), 1},
      {"S-DATA-20", PART(id), TEXT("a..b"), 1},
      {"S-DATA-20", PART(id), TEXT("<a@b>"), 1},
      {"S-DATA-20", PART(id), TEXT("a\r\n"), 1},
      {"S-DATA-20", PART(id), TEXT("\xC3\xA9"), 1},
      {"S-DATA-20", PART(recipient), TEXT("a@b"), 1},
      {"S-DATA-20", PART(recipient), TEXT("<>"), 1},
      {"S-DATA-20", PART(recipient), TEXT("<"), 1},
      {"S-DATA-20", PART(id), TEXT("."), 1},
      {"S-DATA-20", PART(recipient), TEXT("<a@b> "), 1},
      {"S-DATA-20", PART(recipient), TEXT("<a@b>, <c@d>"), 1},
      {"S-DATA-20", PART(recipient), TEXT("<a@b\r\n>"), 1},
      {"S-DATA-20", PART(recipient), TEXT("<\xC3\xA9@b>"), 0},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_received one = ordinary();
    ehlo_span text = guard_copy(0, rows[i].text);
    memcpy((char *)&one + rows[i].part, &text, sizeof text);
    one.utf8 = rows[i].utf8;
    check_refused(rows[i].rule, text, received, &one, EHLO_ERR_TEXT);
  }
}

/* ---- lines ---- */

/* Whatever the lengths of the parts: no line passes 78 octets but where one word alone does, none is blank, and without
 * the folds the field is the same. */
static void lines_are_folded(void **state)
{
  (void)state;
  char long_name[3][256];
  for (size_t length = 1; length <= 255; length++) {
    char id[256];
    memset(id, 'i', sizeof id);
    for (size_t name = 0; name < 3; name++) {
      memset(long_name[name], "abc"[name], sizeof long_name[name]);
    }
    ehlo_received one = ordinary();
    one.hello = (ehlo_span){long_name[0], length};
    one.client_name = (ehlo_span){long_name[1], 256 - length};
    one.by = (ehlo_span){long_name[2], length};
    one.id = (ehlo_span){id, length % 80 + 1};
    char buffer[1536];
    size_t size;
    assert_int_equal(ehlo_format_received(&one, buffer, sizeof buffer, &size), EHLO_OK);
    assert_memory_equal(buffer + size - 2, "\r\n", 2);
    size_t words_cut = 0;
    for (size_t begin = 0; begin < size;) {
      size_t end = begin;
      while (buffer[end] != '\r') {
        end++;
      }
      assert_true(end + 1 < size && buffer[end + 1] == '\n');
      ehlo_span line = {buffer + begin, end - begin};
      size_t spaces = 0;
      for (size_t i = begin + 1; i < end; i++) {
        spaces += buffer[i] == ' ';
      }
      CHECK("S-DATA-20", line, line.len > 1 && (begin == 0 || line.ptr[0] == '\t'));
      CHECK("S-DATA-20", line, line.len <= 78 || spaces == 0);
      CHECK("S-DATA-20", line, line.ptr[line.len - 1] != ' ');
      words_cut += line.len > 78;
      begin = end + 2;
    }
    assert_true(words_cut <= 4);
  }
}

/* A field put together by hand. */
struct by_hand {
  char text[1024];
  size_t length;
  size_t column;
};

static void add_word(struct by_hand *hand, const char *word)
{
  int full = hand->column + 1 + strlen(word) > 78;
  hand->length += (size_t)snprintf(hand->text + hand->length, sizeof hand->text - hand->length, "%s%s",
                                   full ? "\r\n\t" : " ", word);
  hand->column = (full ? 0 : hand->column) + 1 + strlen(word);
}

/* A keyword stands beside its value if a line can hold both. */
static void add_clause(struct by_hand *hand, const char *keyword, const char *value)
{
  char both[512];
  if ((size_t)snprintf(both, sizeof both, "%s %s", keyword, value) <= 77) {
    add_word(hand, both);
  } else {
    add_word(hand, keyword);
    add_word(hand, value);
  }
}

static struct by_hand begin_by_hand(void)
{
  return (struct by_hand){"Received:", strlen("Received:"), strlen("Received:")};
}

static void check_by_hand(struct by_hand *hand, const ehlo_received *one)
{
  char buffer[1024];
  size_t length;
  add_word(hand, "Mon, 23 Nov 2026 20:56:03 +0000");
  hand->length += (size_t)snprintf(hand->text + hand->length, sizeof hand->text - hand->length, "\r\n");
  ehlo_span want = {hand->text, hand->length};
  CHECK("S-DATA-20", want, ehlo_format_received(one, buffer, sizeof buffer, &length) == EHLO_OK);
  CHECK("S-DATA-20", want, ehlo_span_equal((ehlo_span){buffer, length}, want));
}

/* Parts of every length, so that lines are full to the last octet, or would be over by one. */
static void lines_are_filled(void **state)
{
  (void)state;
  for (int length = 1; length <= 100; length++) {
    char part[128];
    char value[256];
    memset(part, 'x', sizeof part);
    ehlo_received by_id = {.by = SPAN("mx"), .with = SPAN("SMTP"), .id = {part, (size_t)length}, .time = SOME_TIME};
    struct by_hand hand = begin_by_hand();
    add_clause(&hand, "by", "mx");
    add_clause(&hand, "with", "SMTP");
    (void)snprintf(value, sizeof value, "%.*s;", length, part);
    add_clause(&hand, "id", value);
    check_by_hand(&hand, &by_id);

    char path[200];
    size_t size = (size_t)snprintf(path, sizeof path, "<%.*s@y>", length, part);
    ehlo_received by_path = {.by = SPAN("mx"), .with = SPAN("SMTP"), .recipient = {path, size}, .time = SOME_TIME};
    hand = begin_by_hand();
    add_clause(&hand, "by", "mx");
    add_clause(&hand, "with", "SMTP");
    (void)snprintf(value, sizeof value, "%s;", path);
    add_clause(&hand, "for", value);
    check_by_hand(&hand, &by_path);

    ehlo_received by_name = {.client_name = {part, (size_t)length},
                             .client_address = SPAN("[192.0.2.1]"),
                             .hello = SPAN("a"),
                             .by = SPAN("mx"),
                             .with = SPAN("SMTP"),
                             .time = SOME_TIME};
    hand = begin_by_hand();
    add_clause(&hand, "from", "a");
    (void)snprintf(value, sizeof value, "(%.*s", length, part);
    add_word(&hand, value);
    add_word(&hand, "[192.0.2.1])");
    add_clause(&hand, "by", "mx");
    add_clause(&hand, "with", "SMTP;");
    check_by_hand(&hand, &by_name);

    /* Comments: one in which nothing is quoted, one in which every other octet is. */
    for (int quoted = 0; quoted <= 1; quoted++) {
      int at = snprintf(value, sizeof value, "(HELO ");
      for (int i = 0; i < length; i++) {
        part[i] = quoted ? "(_\\_)_"[i % 6] : '_';
        at += snprintf(value + at, sizeof value - (size_t)at, "%s%c", part[i] == '_' ? "" : "\\", part[i]);
      }
      (void)snprintf(value + at, sizeof value - (size_t)at, ")");
      ehlo_received by_comment = {
          .hello = {part, (size_t)length}, .by = SPAN("mx"), .with = SPAN("SMTP"), .time = SOME_TIME};
      hand = begin_by_hand();
      add_clause(&hand, "from", "unknown");
      add_word(&hand, value);
      add_clause(&hand, "by", "mx");
      add_clause(&hand, "with", "SMTP;");
      check_by_hand(&hand, &by_comment);
    }
  }
}

/* RFC 5321 2.1.1 of the message format: no line may pass 998 octets, so no word may. */
static void words_that_no_line_can_hold_are_refused(void **state)
{
  (void)state;
  static char text[1100];
  memset(text, 'x', sizeof text);
  ehlo_received one = ordinary();
  char buffer[4096];
  size_t length;
  one.id = (ehlo_span){text, 997};
  assert_int_equal(ehlo_format_received(&one, buffer, sizeof buffer, &length), EHLO_OK);
  one.id.len = 998;
  check_refused("S-DATA-20", SPAN("998 octets of id"), received, &one, EHLO_ERR_TEXT);
}

static void a_buffer_of_1536_octets_holds_the_longest(void **state)
{
  (void)state;
  static char domain[255];
  static char path[256];
  memset(domain, 'd', sizeof domain);
  memset(path, 'p', sizeof path);
  path[0] = '<';
  path[64] = '@';
  path[255] = '>';
  ehlo_received one = ordinary();
  one.hello = one.client_name = one.by = (ehlo_span){domain, sizeof domain};
  one.client_address = SPAN("[IPv6:2001:0db8:0000:0000:0000:0000:255.255.255.255]");
  one.with = SPAN("UTF8SMTPSA");
  one.id = (ehlo_span){domain, 64};
  one.recipient = (ehlo_span){path, sizeof path};
  char buffer[1536];
  size_t length;
  assert_int_equal(ehlo_format_received(&one, buffer, sizeof buffer, &length), EHLO_OK);
}

/* ---- dates ---- */

static void dates_are_right(void **state)
{
  (void)state;
  static const struct {
    int64_t time;
    int32_t utc_offset;
    const char *want;
  } rows[] = {
      {0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"},
      {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
      {0, -1, "Wed, 31 Dec 1969 23:59:00 -0001"},
      {0, 1439, "Thu, 1 Jan 1970 23:59:00 +2359"},
      {0, -1439, "Wed, 31 Dec 1969 00:01:00 -2359"},
      {SOME_TIME, 60, "Mon, 23 Nov 2026 21:56:03 +0100"},
      {SOME_TIME, -210, "Mon, 23 Nov 2026 17:26:03 -0330"},
      {SOME_TIME, 345, "Tue, 24 Nov 2026 02:41:03 +0545"},
      {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"},
      {951868800, 0, "Wed, 1 Mar 2000 00:00:00 +0000"},
      {4107542399, 0, "Sun, 28 Feb 2100 23:59:59 +0000"},
      {4107542400, 0, "Mon, 1 Mar 2100 00:00:00 +0000"},
      {1709164800, 0, "Thu, 29 Feb 2024 00:00:00 +0000"},
      {1735689599, 0, "Tue, 31 Dec 2024 23:59:59 +0000"},
      {2147483648, 0, "Tue, 19 Jan 2038 03:14:08 +0000"},
      {-62135596800, 0, "Mon, 1 Jan 0001 00:00:00 +0000"},
      {-62135596740, -1, "Mon, 1 Jan 0001 00:00:00 -0001"},
      {253402300739, 1, "Fri, 31 Dec 9999 23:59:59 +0001"},
      {253402300799, 0, "Fri, 31 Dec 9999 23:59:59 +0000"},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    char want[128];
    ehlo_received one = {
        .by = SPAN("mx"), .with = SPAN("SMTP"), .time = rows[i].time, .utc_offset = rows[i].utc_offset};
    size_t size = (size_t)snprintf(want, sizeof want, "Received: by mx with SMTP; %s\r\n", rows[i].want);
    check_format("RFC 5322 3.3", ehlo_span_of(rows[i].want), received, &one, (ehlo_span){want, size});
  }
}

/* Every day of 1,200 years against a calendar that counts days one by one. */
static void each_day_follows_the_one_before(void **state)
{
  (void)state;
  static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  static const char names[] = "MonTueWedThuFriSatSun";
  unsigned year = 1;
  unsigned month = 0;
  unsigned day = 1;
  for (int64_t count = 0; year <= 1200; count++) {
    char want[128];
    char buffer[128];
    size_t length;
    unsigned second = (unsigned)(count * 59 % 86400); /* a different one each day, full hours among them */
    ehlo_received one = {.by = SPAN("x"), .with = SPAN("y"), .time = -62135596800 + count * 86400 + second};
    snprintf(want, sizeof want, "Received: by x with y; %.3s, %u %.3s %04u %02u:%02u:%02u +0000", names + count % 7 * 3,
             day, months + (size_t)month * 3, year, second / 3600, second / 60 % 60, second % 60);
    assert_int_equal(ehlo_format_received(&one, buffer, sizeof buffer, &length), EHLO_OK);
    assert_true(length > strlen(want));
    if (memcmp(buffer, want, strlen(want)) != 0) {
      fail_msg("not %s", want);
    }
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (++day > lengths[month] + (unsigned)(month == 1 && leap)) {
      day = 1;
      month = (month + 1) % 12;
      year += month == 0;
    }
  }
}

static void arguments_are_checked(void **state)
{
  (void)state;
  static const struct {
    int64_t time;
    int32_t utc_offset;
  } rows[] = {
      {0, 1440},          {0, -1440},        {0, INT32_MAX},     {0, INT32_MIN},     {-62135596801, 0},
      {253402300800, 0},  {INT64_MAX, 0},    {INT64_MIN, 0},     {-62135596800, -1}, {253402300799, 1},
      {INT64_MIN, -1439}, {253402300740, 1}, {-62135596741, -1}, {INT64_MAX, 1439},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_received one = ordinary();
    one.time = rows[i].time;
    one.utc_offset = rows[i].utc_offset;
    check_refused("S-DATA-20", SPAN("time"), received, &one, EHLO_ERR_ARGUMENT);
  }
  char buffer[8];
  size_t length = 9;
  assert_int_equal(ehlo_format_received(NULL, buffer, sizeof buffer, &length), EHLO_ERR_ARGUMENT);
  assert_int_equal(length, 0);
}

/* ---- Return-Path ---- */

struct return_path_input {
  ehlo_span path;
  uint32_t flags;
};

static int return_path(const void *input, char *buffer, size_t size, size_t *length)
{
  const struct return_path_input *in = input;
  return ehlo_format_return_path(in->path, in->flags, buffer, size, length);
}

static void return_paths_are_formatted(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    struct return_path_input in;
    ehlo_span want; /* empty: refused */
  } rows[] = {
      {"S-DATA-22", {TEXT("<>"), 0}, TEXT("Return-Path: <>\r\n")},
      {"S-DATA-22", {TEXT("<user@example.org>"), 0}, TEXT("Return-Path: <user@example.org>\r\n")},
      {"S-DATA-22", {TEXT("<\"a b\"@[192.0.2.1]>"), 0}, TEXT("Return-Path: <\"a b\"@[192.0.2.1]>\r\n")},
      {"S-MAIL-11", {TEXT("<@one,@two:a@b>"), 0}, TEXT("Return-Path: <a@b>\r\n")},
      {"P-UTF8-04", {TEXT("<\xC3\xA9@b>"), EHLO_PARSE_UTF8}, TEXT("Return-Path: <\xC3\xA9@b>\r\n")},
      {"P-ADDR-10", {TEXT("<a@b_c>"), EHLO_PARSE_UNDERSCORE}, TEXT("Return-Path: <a@b_c>\r\n")},
      {"S-DATA-22",
       {TEXT("<a@123456789.123456789.123456789.123456789.123456789.1234567890.com>"), 0},
       TEXT("Return-Path:\r\n\t<a@123456789.123456789.123456789.123456789.123456789.1234567890.com>\r\n")},
      {"S-DATA-22", {TEXT(""), 0}, TEXT("")},
      {"S-DATA-22", {TEXT("a@b"), 0}, TEXT("")},
      {"S-DATA-22", {TEXT("<a@b> "), 0}, TEXT("")},
      {"S-DATA-22", {TEXT("<a@b>\r\nX: y"), 0}, TEXT("")},
      {"S-DATA-22", {TEXT("<Postmaster>"), 0}, TEXT("")},
      {"P-ADDR-19", {TEXT("<\xC3\xA9@b>"), 0}, TEXT("")},
      {"P-ADDR-10", {TEXT("<a@b_c>"), 0}, TEXT("")},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct return_path_input input = {guard_copy(0, rows[i].in.path), rows[i].in.flags};
    if (rows[i].want.len == 0) {
      check_refused(rows[i].rule, input.path, return_path, &input, EHLO_ERR_TEXT);
    } else {
      check_format(rows[i].rule, input.path, return_path, &input, rows[i].want);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clauses_come_in_the_order_of_the_rule),
      cmocka_unit_test(parts_are_checked),
      cmocka_unit_test(lines_are_folded),
      cmocka_unit_test(lines_are_filled),
      cmocka_unit_test(words_that_no_line_can_hold_are_refused),
      cmocka_unit_test(a_buffer_of_1536_octets_holds_the_longest),
      cmocka_unit_test(dates_are_right),
      cmocka_unit_test(each_day_follows_the_one_before),
      cmocka_unit_test(arguments_are_checked),
      cmocka_unit_test(return_paths_are_formatted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
