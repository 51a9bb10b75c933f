/* test_path.c: paths, mailboxes, domains, address literals, local-parts. */
#include "check.h"

enum { UTF8 = EHLO_PARSE_UTF8, UNDERSCORE = EHLO_PARSE_UNDERSCORE };

/* ---- paths ---- */

struct path_row {
  const char *rule;
  ehlo_span text;
  ehlo_span route;
  ehlo_span local_part;
  ehlo_span domain;
  uint32_t flags;
  uint32_t kind;
  uint32_t domain_kind;
};

#define MAILBOX_ROW(rule, flags, route, local_part, domain, domain_kind)                                 \
  {                                                                                                      \
    rule, TEXT("<" route local_part "@" domain ">"), TEXT(route), TEXT(local_part), TEXT(domain), flags, \
        EHLO_PATH_MAILBOX, domain_kind                                                                   \
  }

static const struct path_row good_paths[] = {
    {"S-MAIL-03", TEXT("<>"), TEXT(""), TEXT(""), TEXT(""), 0, EHLO_PATH_NULL, EHLO_DOMAIN_NONE},
    {"S-RCPT-03", TEXT("<Postmaster>"), TEXT(""), TEXT("Postmaster"), TEXT(""), 0, EHLO_PATH_POSTMASTER,
     EHLO_DOMAIN_NONE},
    {"S-RCPT-03", TEXT("<postMASTER>"), TEXT(""), TEXT("postMASTER"), TEXT(""), 0, EHLO_PATH_POSTMASTER,
     EHLO_DOMAIN_NONE},
    MAILBOX_ROW("S-RCPT-03", 0, "", "postmaster", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-01", 0, "", "user", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-01", 0, "", "a", "b", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-02", 0, "@one:", "user", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("S-RCPT-05", 0, "@one,@two.example,@x-y:", "user", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("S-MAIL-11", 0, "@one,@two:", "\"a b\"", "[192.0.2.1]", EHLO_DOMAIN_IPV4),
    MAILBOX_ROW("P-ADDR-03", 0, "", "a.b.c.d", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-04", 0, "", "!#$%&'*+-/=?^_`{|}~", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-05", 0, "", "\"a b\"", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-05", 0, "", "\"\\\"\\\\\\ \\a\"", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-05", 0, "", "\"<a@b>,:;()[].\"", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-05", 0, "", "\" \"", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-06", 0, "", "\"x\"", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-08", 0, "", "UsEr", "eXample.ORG", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-10", 0, "", "user", "a-b--c.3com.x1", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-11", 0, "", "user", "localhost", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-11", 0, "", "user", "1", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-12", 0, "", "user", "[127.0.0.1]", EHLO_DOMAIN_IPV4),
    MAILBOX_ROW("P-ADDR-13", 0, "", "user", "[IPv6:2001:db8::1]", EHLO_DOMAIN_IPV6),
    MAILBOX_ROW("P-ADDR-13", 0, "", "user", "[ipV6:::]", EHLO_DOMAIN_IPV6),
    MAILBOX_ROW("P-UTF8-04", UTF8, "", "\xC3\xA9l\xC3\xA8ve", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-UTF8-04", UTF8, "", "\"\xE2\x82\xAC \xF0\x9F\x93\xA7\"", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-UTF8-04", UTF8, "", "user", "b\xC3\xBC\x63her.example", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-UTF8-04", UTF8, "", "user", "\xE4\xBE\x8B.\xE4\xBE\x8B", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("S-UTF8-05", UTF8, "@\xC3\xA9:", "user", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("S-UTF8-05", UTF8, "", "plain", "example.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-10", UNDERSCORE, "", "user", "my_host.example_x.org", EHLO_DOMAIN_NAME),
    MAILBOX_ROW("P-ADDR-10", UNDERSCORE | UTF8, "", "user", "m\xC3\xBC_\xC3\xA9", EHLO_DOMAIN_NAME),
};

static int has_high_octet(ehlo_span text)
{
  for (size_t i = 0; i < text.len; i++) {
    if ((unsigned char)text.ptr[i] > 127) {
      return 1;
    }
  }
  return 0;
}

/* Everything that a path tells, against the row; `text` is where it stands now, perhaps with something behind it. */
static void check_path(const struct path_row *row, ehlo_span text)
{
  ehlo_path path;
  size_t used = SIZE_MAX;
  memset(&path, 0xAA, sizeof path);
  CHECK(row->rule, text, ehlo_parse_path(text, row->flags, &path, &used) == EHLO_OK);
  CHECK(row->rule, text, used == row->text.len);
  CHECK(row->rule, text, same_place(path.raw, front(text, used)));
  CHECK(row->rule, text, path.kind == row->kind);
  CHECK(row->rule, text, lies_inside(path.route, path.raw) && lies_inside(path.mailbox, path.raw));
  CHECK(row->rule, text, lies_inside(path.local_part, path.mailbox) && lies_inside(path.domain.raw, path.mailbox));
  size_t route_len = row->route.len == 0 ? 0 : row->route.len - 1;
  CHECK(row->rule, text, ehlo_span_equal(path.route, front(row->route, route_len)));
  CHECK(row->rule, text, ehlo_span_equal(path.local_part, row->local_part));
  CHECK(row->rule, text, ehlo_span_equal(path.domain.raw, row->domain));
  CHECK(row->rule, text, path.domain.kind == row->domain_kind);
  int has_address = row->domain_kind == EHLO_DOMAIN_IPV4 || row->domain_kind == EHLO_DOMAIN_IPV6;
  CHECK(row->rule, text, has_address || is_zero(path.domain.address, sizeof path.domain.address));
  CHECK(row->rule, text, path.mailbox.len == used - row->route.len - 2);
  CHECK(row->rule, text, path.quoted == (row->local_part.len > 0 && row->local_part.ptr[0] == '"'));
  CHECK(row->rule, text, path.domain.utf8 == (uint32_t)has_high_octet(row->domain));
  CHECK(row->rule, text, path.utf8 == (uint32_t)has_high_octet(row->text));
}

static void check_path_refused(const char *rule, ehlo_span text, uint32_t flags)
{
  ehlo_path path;
  size_t used = SIZE_MAX;
  memset(&path, 0xAA, sizeof path);
  CHECK(rule, text, ehlo_parse_path(text, flags, &path, &used) == EHLO_ERR_SYNTAX);
  CHECK(rule, text, used == 0 && is_zero(&path, sizeof path));
}

static void good_paths_are_taken_apart(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(good_paths); i++) {
    check_path(&good_paths[i], guard_copy(0, good_paths[i].text));
  }
}

static void what_follows_a_path_is_left(void **state)
{
  (void)state;
  static const ehlo_span tails[] = {TEXT(" SIZE=1"), TEXT(">"), TEXT("<"), TEXT("\0"), TEXT("\xFF"), TEXT("@c>")};
  for (size_t i = 0; i < ROWS(good_paths); i++) {
    for (size_t tail = 0; tail < ROWS(tails); tail++) {
      char text[256];
      memcpy(text, good_paths[i].text.ptr, good_paths[i].text.len);
      memcpy(text + good_paths[i].text.len, tails[tail].ptr, tails[tail].len);
      ehlo_span whole = {text, good_paths[i].text.len + tails[tail].len};
      check_path(&good_paths[i], guard_copy(0, whole));
    }
  }
}

static void no_front_part_of_a_path_is_one(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(good_paths); i++) {
    for (size_t length = 0; length < good_paths[i].text.len; length++) {
      check_path_refused(good_paths[i].rule, guard_copy(0, front(good_paths[i].text, length)), good_paths[i].flags);
    }
  }
}

/* What needs a flag is refused without it. */
static void flags_are_needed(void **state)
{
  (void)state;
  unsigned refused = 0;
  for (size_t i = 0; i < ROWS(good_paths); i++) {
    if ((good_paths[i].flags & UNDERSCORE) != 0 || has_high_octet(good_paths[i].text)) {
      check_path_refused("P-ADDR-19", guard_copy(0, good_paths[i].text), 0);
      refused++;
    }
  }
  assert_int_equal(refused, 7);
}

struct bad_row {
  const char *rule;
  ehlo_span text;
  uint32_t flags;
};

static const struct bad_row bad_paths[] = {
    {"P-ADDR-01", TEXT(""), 0},
    {"P-ADDR-01", TEXT("a@b"), 0},
    {"P-ADDR-01", TEXT(" <a@b>"), 0},
    {"P-ADDR-01", TEXT("< a@b>"), 0},
    {"P-ADDR-01", TEXT("<a@b >"), 0},
    {"P-ADDR-01", TEXT("<a @b>"), 0},
    {"P-ADDR-01", TEXT("<a@ b>"), 0},
    {"P-ADDR-01", TEXT("<a>"), 0},
    {"P-ADDR-01", TEXT("<@b>"), 0},
    {"P-ADDR-01", TEXT("<a@>"), 0},
    {"P-ADDR-01", TEXT("<a@b@c>"), 0},
    {"P-ADDR-01", TEXT("<a b>"), 0},
    {"P-ADDR-01", TEXT("<a:b>"), 0},
    {"P-ADDR-01", TEXT("<a.b,c.d>"), 0},
    {"P-ADDR-01", TEXT("<a@b:c>"), 0},
    {"P-ADDR-01", TEXT("<<a@b>>"), 0},
    {"P-ADDR-01", TEXT("< >"), 0},
    {"P-ADDR-01", TEXT("<a@b\r\n>"), 0},
    {"P-ADDR-01", TEXT("<a@b\0>"), 0},
    {"P-ADDR-02", TEXT("<@one>"), 0},
    {"P-ADDR-02", TEXT("<@one:>"), 0},
    {"P-ADDR-02", TEXT("<@one,:a@b>"), 0},
    {"P-ADDR-02", TEXT("<@one,two:a@b>"), 0},
    {"P-ADDR-02", TEXT("<@one, @two:a@b>"), 0},
    {"P-ADDR-02", TEXT("<,@one:a@b>"), 0},
    {"P-ADDR-02", TEXT("<@:a@b>"), 0},
    {"P-ADDR-02", TEXT("<:a@b>"), 0},
    {"P-ADDR-02", TEXT("<@one a@b>"), 0},
    {"P-ADDR-02", TEXT("<@one::a@b>"), 0},
    {"P-ADDR-02", TEXT("<@[192.0.2.1]:a@b>"), 0},
    {"P-ADDR-02", TEXT("<@one:postmaster>"), 0},
    {"P-ADDR-02", TEXT("<@one.:a@b>"), 0},
    {"S-RCPT-03", TEXT("<postmaste>"), 0},
    {"S-RCPT-03", TEXT("<postmasters>"), 0},
    {"S-RCPT-03", TEXT("<\"postmaster\">"), 0},
    {"S-RCPT-03", TEXT("<postmaster@>"), 0},
    {"P-ADDR-03", TEXT("<.a@b>"), 0},
    {"P-ADDR-03", TEXT("<a.@b>"), 0},
    {"P-ADDR-03", TEXT("<a..b@c>"), 0},
    {"P-ADDR-03", TEXT("<.@b>"), 0},
    {"P-ADDR-03", TEXT("<a\"b\"@c>"), 0},
    {"P-ADDR-03", TEXT("<\"a\"b@c>"), 0},
    {"P-ADDR-03", TEXT("<\"a\".b@c>"), 0},
    {"P-ADDR-05", TEXT("<\"a@b>"), 0},
    {"P-ADDR-05", TEXT("<\"a\\\"@b>"), 0},
    {"P-ADDR-05", TEXT("<\"a\tb\"@c>"), 0},
    {"P-ADDR-05", TEXT("<\"a\\\tb\"@c>"), 0},
    {"P-ADDR-05", TEXT("<\"a\r\nb\"@c>"), 0},
    {"P-ADDR-05", TEXT("<\"\x7F\"@c>"), 0},
    {"P-ADDR-05", TEXT("<\"\\\x7F\"@c>"), 0},
    {"P-ADDR-06", TEXT("<\"\"@b>"), 0},
    {"P-ADDR-10", TEXT("<a@b.>"), 0},
    {"P-ADDR-10", TEXT("<a@.b>"), 0},
    {"P-ADDR-10", TEXT("<a@b..c>"), 0},
    {"P-ADDR-10", TEXT("<a@-b>"), 0},
    {"P-ADDR-10", TEXT("<a@b->"), 0},
    {"P-ADDR-10", TEXT("<a@b-.c>"), 0},
    {"P-ADDR-10", TEXT("<a@b.-c>"), 0},
    {"P-ADDR-10", TEXT("<a@->"), 0},
    {"P-ADDR-10", TEXT("<a@b_c>"), 0},
    {"P-ADDR-10", TEXT("<a@_b>"), UNDERSCORE},
    {"P-ADDR-10", TEXT("<a@b_>"), UNDERSCORE},
    {"P-ADDR-10", TEXT("<a@b!c>"), UNDERSCORE | UTF8},
    {"P-ADDR-16", TEXT("<a@#123>"), 0},
    {"P-ADDR-19", TEXT("<\xC3\xA9@b>"), 0},
    {"P-ADDR-19", TEXT("<a@\xC3\xA9>"), 0},
    {"P-ADDR-19", TEXT("<\"\xC3\xA9\"@b>"), 0},
    {"P-ADDR-19", TEXT("<a\x01@b>"), UTF8},
    {"P-UTF8-04", TEXT("<\"\\\xC3\xA9\"@b>"), UTF8}, /* quoted-pairSMTP is not widened */
    {"P-UTF8-04", TEXT("<a@\xC3\xA9->"), UTF8},
    {"S-UTF8-06", TEXT("<\xC3@b>"), UTF8},
    {"S-UTF8-06", TEXT("<\xA9@b>"), UTF8},
    {"S-UTF8-06", TEXT("<\xC0\xAF@b>"), UTF8},
    {"S-UTF8-06", TEXT("<\xED\xA0\x80@b>"), UTF8},
    {"S-UTF8-06", TEXT("<a@\xF4\x90\x80\x80>"), UTF8},
    {"S-UTF8-06", TEXT("<a@b\xE2\x82>"), UTF8},
    {"S-UTF8-06", TEXT("<\"a\xFF\"@b>"), UTF8},
};

static void bad_paths_are_refused(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(bad_paths); i++) {
    check_path_refused(bad_paths[i].rule, guard_copy(0, bad_paths[i].text), bad_paths[i].flags);
  }
}

/* ---- every octet, everywhere ---- */

static int is_one_of(unsigned octet, const char *set)
{
  return octet != 0 && octet < 128 && strchr(set, (int)octet) != NULL;
}

static int is_path(const char *before, unsigned octet, const char *behind, uint32_t flags)
{
  char text[64];
  int length = snprintf(text, sizeof text, "%s%c%s", before, (int)octet, behind);
  ehlo_span whole = {text, (size_t)length};
  ehlo_path path;
  size_t used;
  return ehlo_parse_path(guard_copy(0, whole), flags, &path, &used) == EHLO_OK && used == whole.len;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static void each_octet_stands_where_it_may(void **state)
{
  (void)state;
  for (unsigned octet = 0; octet < 256; octet++) {
    char name[16];
    snprintf(name, sizeof name, "octet %u", octet);
    int atext = is_one_of(octet, LETTERS DIGITS "!#$%&'*+-/=?^_`{|}~");
    int let_dig = is_one_of(octet, LETTERS DIGITS);
    int printable = octet >= 32 && octet <= 126;
    ehlo_span input = {name, strlen(name)};
    for (uint32_t flags = 0; flags <= UTF8; flags += UTF8) {
      CHECK("P-ADDR-04", input, is_path("<", octet, "@b>", flags) == atext);
      CHECK("P-ADDR-04", input, is_path("<abcdef", octet, "ghijkl@b>", flags) == (atext || octet == '.'));
      CHECK("P-ADDR-05", input, is_path("<\"", octet, "\"@b>", flags) == (printable && octet != '"' && octet != '\\'));
      CHECK("P-ADDR-05", input, is_path("<\"abcde\\", octet, "\"@b>", flags) == printable);
      CHECK("P-ADDR-10", input, is_path("<a@", octet, ">", flags) == let_dig);
      CHECK("P-ADDR-10", input, is_path("<a@", octet, "b>", flags) == let_dig);
      CHECK("P-ADDR-10", input, is_path("<a@b", octet, ">", flags) == let_dig);
      CHECK("P-ADDR-10", input, is_path("<a@bcdef", octet, "ghi>", flags) == (let_dig || octet == '-' || octet == '.'));
    }
    CHECK("P-ADDR-10", input, is_path("<a@bcdef", octet, "ghi>", UNDERSCORE) == (let_dig || is_one_of(octet, "-._")));
  }
}

/* ---- bare mailboxes ---- */

static void mailboxes_need_no_brackets(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_span text;
    size_t used;
    uint32_t flags;
  } rows[] = {
      {"P-VRFY-10", TEXT("user@example.org"), 16, 0},
      {"P-VRFY-10", TEXT("user@example.org SMTPUTF8"), 16, 0},
      {"P-VRFY-10", TEXT("user@example.org>"), 16, 0},
      {"P-VRFY-10", TEXT("user@example.org."), 16, 0},
      {"P-VRFY-10", TEXT("user@example.org..x"), 16, 0},
      {"P-VRFY-10", TEXT("user@example.org-"), 16, 0},
      {"P-VRFY-10", TEXT("user@example.org-.x"), 16, 0},
      {"P-VRFY-10", TEXT("user@example.org.-x"), 16, 0},
      {"P-VRFY-10", TEXT("\"a b\"@[192.0.2.1]"), 17, 0},
      {"P-VRFY-10", TEXT("a@b\xC3\xA9"), 3, 0},
      {"P-VRFY-10", TEXT("a@b\xC3\xA9"), 5, UTF8},
      {"P-VRFY-10", TEXT("a@b\xC3"), 3, UTF8},
      {"P-VRFY-10", TEXT("<user@example.org>"), 0, 0},
      {"P-VRFY-10", TEXT("@one:user@example.org"), 0, 0},
      {"P-VRFY-10", TEXT("postmaster"), 0, 0},
      {"P-VRFY-10", TEXT("user"), 0, 0},
      {"P-VRFY-10", TEXT("user@"), 0, 0},
      {"P-VRFY-10", TEXT(""), 0, 0},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_path path;
    size_t used = SIZE_MAX;
    ehlo_span text = guard_copy(0, rows[i].text);
    memset(&path, 0xAA, sizeof path);
    int result = ehlo_parse_mailbox(text, rows[i].flags, &path, &used);
    CHECK(rows[i].rule, text, used == rows[i].used);
    if (used == 0) {
      CHECK(rows[i].rule, text, result == EHLO_ERR_SYNTAX && is_zero(&path, sizeof path));
    } else {
      CHECK(rows[i].rule, text, result == EHLO_OK && path.kind == EHLO_PATH_MAILBOX);
      CHECK(rows[i].rule, text, same_place(path.raw, front(text, used)) && same_place(path.mailbox, path.raw));
      CHECK(rows[i].rule, text, path.route.len == 0 && path.utf8 == (uint32_t)has_high_octet(path.raw));
      CHECK(rows[i].rule, text, path.local_part.len + 1 + path.domain.raw.len == used);
    }
  }
}

/* ---- domains and literals ---- */

static void domains_are_matched_as_far_as_they_go(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_span text;
    size_t used;
    uint32_t flags;
    uint32_t utf8;
  } rows[] = {
      {"P-ADDR-10", TEXT("example.org"), 11, 0, 0},
      {"P-ADDR-10", TEXT("example.org."), 11, 0, 0},
      {"P-ADDR-10", TEXT("example.org.-"), 11, 0, 0},
      {"P-ADDR-10", TEXT("example.org--"), 11, 0, 0},
      {"P-ADDR-10", TEXT("example.org--x"), 14, 0, 0},
      {"P-ADDR-10", TEXT("example.org-.x"), 11, 0, 0},
      {"P-ADDR-10", TEXT("a_b"), 1, 0, 0},
      {"P-ADDR-10", TEXT("a_b"), 3, UNDERSCORE, 0},
      {"P-ADDR-10", TEXT("a__-_b"), 6, UNDERSCORE, 0},
      {"P-ADDR-10", TEXT("a_-_"), 1, UNDERSCORE, 0},
      {"P-ADDR-10", TEXT("a_.b"), 1, UNDERSCORE, 0},
      {"P-ADDR-10", TEXT("-a"), 0, 0, 0},
      {"P-ADDR-10", TEXT("_a"), 0, UNDERSCORE, 0},
      {"P-ADDR-10", TEXT(".a"), 0, 0, 0},
      {"P-ADDR-10", TEXT(""), 0, 0, 0},
      {"P-ADDR-10", TEXT("-"), 0, 0, 0},
      {"P-ADDR-10", TEXT(" a"), 0, 0, 0},
      {"P-ADDR-11", TEXT("x"), 1, 0, 0},
      {"P-UTF8-04", TEXT("\xC3\xA9.x"), 4, UTF8, 1},
      {"P-UTF8-04", TEXT("a.\xC3\xA9"), 4, UTF8, 1},
      {"P-UTF8-04", TEXT("a.-\xC3\xA9"), 1, UTF8, 0},
      {"P-UTF8-04", TEXT("a-\xC3\xA9"), 4, UTF8, 1},
      {"P-UTF8-04", TEXT("a.\xC3\xA9"), 1, 0, 0},
      {"S-UTF8-06", TEXT("\xC3"), 0, UTF8, 0},
      {"S-UTF8-06", TEXT("\xC3\xA9\xC3"), 2, UTF8, 1},
      {"P-ADDR-12", TEXT("[192.0.2.1] there"), 11, 0, 0},
      {"P-ADDR-12", TEXT("[192.0.2.1"), 0, 0, 0},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_domain domain;
    size_t used = SIZE_MAX;
    ehlo_span text = guard_copy(0, rows[i].text);
    memset(&domain, 0xAA, sizeof domain);
    int result = ehlo_parse_domain(text, rows[i].flags, &domain, &used);
    CHECK(rows[i].rule, text, used == rows[i].used);
    CHECK(rows[i].rule, text, result == (used == 0 ? EHLO_ERR_SYNTAX : EHLO_OK));
    CHECK(rows[i].rule, text, used > 0 || is_zero(&domain, sizeof domain));
    CHECK(rows[i].rule, text, same_place(domain.raw, front(text, used)));
    CHECK(rows[i].rule, text, domain.utf8 == rows[i].utf8);
    CHECK(rows[i].rule, text, domain.kind != EHLO_DOMAIN_NAME || is_zero(domain.address, sizeof domain.address));
  }
}

struct literal_row {
  const char *rule;
  ehlo_span text;
  uint32_t kind; /* EHLO_DOMAIN_NONE: refused */
  uint8_t address[16];
};

#define V4   EHLO_DOMAIN_IPV4
#define V6   EHLO_DOMAIN_IPV6
#define NONE EHLO_DOMAIN_NONE

static const struct literal_row literals[] = {
    {"P-ADDR-12", TEXT("[192.0.2.1]"), V4, {192, 0, 2, 1}},
    {"P-ADDR-12", TEXT("[255.255.255.255]"), V4, {255, 255, 255, 255}},
    {"P-ADDR-12", TEXT("[0.0.0.0]"), V4, {0}},
    {"P-ADDR-12", TEXT("[001.010.099.000]"), V4, {1, 10, 99, 0}},
    {"P-ADDR-12", TEXT("[256.0.0.1]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3.999]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3.0001]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[0001.2.3.1]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3.]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[.1.2.3]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1..2.3]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3.4.5]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3.-4]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3.4 ]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[ 1.2.3.4]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[1.2.3.0x4]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[16909060]"), NONE, {0}},
    {"P-ADDR-12", TEXT("[IPv4:1.2.3.4]"), NONE, {0}},

    /* IPv6-full */
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7:8]"), V6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
    {"P-ADDR-13", TEXT("[IPV6:2001:0DB8:abcd:EF01:0:00:000:0000]"), V6, {0x20, 1, 0x0D, 0xB8, 0xAB, 0xCD, 0xEF, 1}},
    {"P-ADDR-13",
     TEXT("[ipv6:ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]"),
     V6,
     {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 254}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7:8:9]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7:]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7:8:]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6::2:3:4:5:6:7:8]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7:00008]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7:g]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[1:2:3:4:5:6:7:8]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6 1:2:3:4:5:6:7:8]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7:8%eth0]"), NONE, {0}},

    /* IPv6-comp: "::" stands for two groups or more */
    {"P-ADDR-13", TEXT("[IPv6:::]"), V6, {0}},
    {"P-ADDR-13", TEXT("[IPv6:::1]"), V6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
    {"P-ADDR-13", TEXT("[IPv6:1::]"), V6, {0, 1}},
    {"P-ADDR-13", TEXT("[IPv6:1::8]"), V6, {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8}},
    {"P-ADDR-13", TEXT("[IPv6:2001:db8::a:b]"), V6, {0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0A, 0, 0x0B}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6::]"), V6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}},
    {"P-ADDR-13", TEXT("[IPv6:::3:4:5:6:7:8]"), V6, {0, 0, 0, 0, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3::6:7:8]"), V6, {0, 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 6, 0, 7, 0, 8}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4:5:6:7::]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:::2:3:4:5:6:7:8]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:2:3:4::6:7:8]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1::2::3]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:::1::]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1:::2]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6::::]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:1::2:]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6::1::2]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6::]"), NONE, {0}},
    {"P-ADDR-13", TEXT("[IPv6:]"), NONE, {0}},

    /* IPv6v4-full and IPv6v4-comp */
    {"P-ADDR-14", TEXT("[IPv6:1:2:3:4:5:6:192.0.2.1]"), V6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 192, 0, 2, 1}},
    {"P-ADDR-14", TEXT("[IPv6:::192.0.2.1]"), V6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1}},
    {"P-ADDR-14", TEXT("[IPv6:::ffff:192.0.2.1]"), V6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1}},
    {"P-ADDR-14", TEXT("[IPv6:1::192.0.2.1]"), V6, {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1}},
    {"P-ADDR-14", TEXT("[IPv6:1:2:3:4::192.0.2.1]"), V6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 0, 0, 0, 192, 0, 2, 1}},
    {"P-ADDR-14", TEXT("[IPv6:::3:4:5:6:192.0.2.1]"), V6, {0, 0, 0, 0, 0, 3, 0, 4, 0, 5, 0, 6, 192, 0, 2, 1}},
    {"P-ADDR-14", TEXT("[IPv6:1:2::5:6:192.0.2.1]"), V6, {0, 1, 0, 2, 0, 0, 0, 0, 0, 5, 0, 6, 192, 0, 2, 1}},
    {"P-ADDR-14", TEXT("[IPv6:1:2:3:4:5:192.0.2.1]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:1:2:3:4:5:6:7:192.0.2.1]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:1:2:3:4:5::192.0.2.1]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:::2:3:4:5:6:192.0.2.1]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:192.0.2.1]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:::192.0.2.1:1]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:::192.0.2]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:::192.0.2.256]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:::1922.0.2.1]"), NONE, {0}},
    {"P-ADDR-14", TEXT("[IPv6:::a.0.2.1]"), NONE, {0}},

    {"P-ADDR-15", TEXT("[X400:c=de]"), NONE, {0}},
    {"P-ADDR-15", TEXT("[IPv6:anything]"), NONE, {0}},
    {"P-ADDR-15", TEXT("[IPv66:::1]"), NONE, {0}},
    {"P-ADDR-15", TEXT("[tag:content]"), NONE, {0}},
    {"P-ADDR-15", TEXT("[example.org]"), NONE, {0}},
};

static void address_literals_are_decoded(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(literals); i++) {
    const struct literal_row *row = &literals[i];
    ehlo_domain domain;
    size_t used = SIZE_MAX;
    ehlo_span text = guard_copy(0, row->text);
    memset(&domain, 0xAA, sizeof domain);
    int result = ehlo_parse_domain(text, 0, &domain, &used);
    CHECK(row->rule, text, result == (row->kind == NONE ? EHLO_ERR_SYNTAX : EHLO_OK));
    CHECK(row->rule, text, used == (row->kind == NONE ? 0 : text.len));
    CHECK(row->rule, text, domain.kind == row->kind && domain.utf8 == 0);
    CHECK(row->rule, text, memcmp(domain.address, row->address, sizeof row->address) == 0);
    CHECK(row->rule, text, same_place(domain.raw, front(text, used)));
    for (size_t length = 0; length < text.len; length++) {
      ehlo_span part = guard_copy(1, front(text, length));
      CHECK(row->rule, part, ehlo_parse_domain(part, 0, &domain, &used) == EHLO_ERR_SYNTAX);
      CHECK(row->rule, part, used == 0 && is_zero(&domain, sizeof domain));
    }
  }
}

/* ---- lengths ---- */

static void long_parts_are_taken(void **state)
{
  (void)state;
  static char text[2 + 70000 + 1 + 255 + 1];
  static const size_t local_lengths[] = {64, 65, 1000, 70000};
  for (size_t i = 0; i < ROWS(local_lengths); i++) {
    size_t at = 0;
    text[at++] = '<';
    memset(text + at, 'x', local_lengths[i]);
    at += local_lengths[i];
    text[at++] = '@';
    for (size_t label = 0; label < 128; label++) {
      text[at++] = 'd';
      text[at++] = '.';
    }
    text[at - 1] = '>';
    ehlo_span whole = guard_copy(0, front((ehlo_span){text, sizeof text}, at));
    ehlo_path path;
    size_t used;
    assert_int_equal(ehlo_parse_path(whole, 0, &path, &used), EHLO_OK);
    assert_int_equal(used, at);
    assert_int_equal(path.local_part.len, local_lengths[i]); /* P-LIM-01: 64 at least */
    assert_int_equal(path.domain.raw.len, 255);              /* P-LIM-02 */
    assert_true(used > 256);                                 /* P-LIM-03, P-LIM-06 */
  }
}

/* ---- local-parts ---- */

struct local_row {
  const char *rule;
  ehlo_span spelt;
  ehlo_span decoded;
};

static const struct local_row local_parts[] = {
    {"P-ADDR-07", TEXT("abc"), TEXT("abc")},
    {"P-ADDR-07", TEXT("a.b.c"), TEXT("a.b.c")},
    {"P-ADDR-07", TEXT("\"abc\""), TEXT("abc")},
    {"P-ADDR-07", TEXT("\"a\\bc\""), TEXT("abc")},
    {"P-ADDR-07", TEXT("\"a b\""), TEXT("a b")},
    {"P-ADDR-07", TEXT("\"a\\ b\""), TEXT("a b")},
    {"P-ADDR-07", TEXT("\"a\\\"b\""), TEXT("a\"b")},
    {"P-ADDR-07", TEXT("\"\\\"\""), TEXT("\"")},
    {"P-ADDR-07", TEXT("\"\\\\\""), TEXT("\\")},
    {"P-ADDR-07", TEXT("\"\\\\\\\"\""), TEXT("\\\"")},
    {"P-ADDR-07", TEXT("\"Joe\\,Smith\""), TEXT("Joe,Smith")},
    {"P-ADDR-07", TEXT("\".a\""), TEXT(".a")},
    {"P-ADDR-07", TEXT("\"a..b\""), TEXT("a..b")},
    {"P-ADDR-07", TEXT("\"a@b\""), TEXT("a@b")},
    {"P-ADDR-07", TEXT("\"ABC\""), TEXT("ABC")},
    {"P-UTF8-04", TEXT("\xC3\xA9"), TEXT("\xC3\xA9")},
    {"P-UTF8-04", TEXT("\"\xC3\xA9 \\x\""), TEXT("\xC3\xA9 x")},
};

static int decode(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_local_part_decode(*(const ehlo_span *)input, buffer, size, length);
}

struct encode_input {
  ehlo_span decoded;
  uint32_t flags;
};

static int encode(const void *input, char *buffer, size_t size, size_t *length)
{
  const struct encode_input *in = input;
  return ehlo_local_part_encode(in->decoded, in->flags, buffer, size, length);
}

static void local_parts_are_decoded(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(local_parts); i++) {
    ehlo_span spelt = guard_copy(0, local_parts[i].spelt);
    check_format(local_parts[i].rule, spelt, decode, &spelt, local_parts[i].decoded);
  }
  static const ehlo_span wrong[] = {
      TEXT(""),     TEXT("\""),       TEXT("\"\""),     TEXT("\"a"),      TEXT("a\""),        TEXT("a b"),
      TEXT(".a"),   TEXT("a."),       TEXT("\"a\"b"),   TEXT("\"a\\\""),  TEXT("a@b"),        TEXT("\xC3"),
      TEXT("a\\b"), TEXT("\"a\tb\""), TEXT("\"\\\t\""), TEXT("\"\xFF\""), TEXT("\"a\"\"b\""),
  };
  for (size_t i = 0; i < ROWS(wrong); i++) {
    ehlo_span spelt = guard_copy(0, wrong[i]);
    check_refused("P-ADDR-05", spelt, decode, &spelt, EHLO_ERR_SYNTAX);
  }
  ehlo_span nothing = {NULL, 0};
  check_refused("P-ADDR-05", nothing, decode, &nothing, EHLO_ERR_SYNTAX);
}

static void local_parts_are_encoded_with_least_quoting(void **state)
{
  (void)state;
  static const struct local_row rows[] = {
      {"P-ADDR-07", TEXT("abc"), TEXT("abc")},
      {"P-ADDR-07", TEXT("a.b"), TEXT("a.b")},
      {"P-ADDR-07", TEXT("\"a..b\""), TEXT("a..b")},
      {"P-ADDR-07", TEXT("\".\""), TEXT(".")},
      {"P-ADDR-07", TEXT("\"a.\""), TEXT("a.")},
      {"P-ADDR-07", TEXT("\"a b\""), TEXT("a b")},
      {"P-ADDR-07", TEXT("\"\\\"\""), TEXT("\"")},
      {"P-ADDR-07", TEXT("\"\\\"a\\\"\""), TEXT("\"a\"")},
      {"P-ADDR-07", TEXT("\"\\\\\""), TEXT("\\")},
      {"P-ADDR-07", TEXT("\"a@b,<c>\""), TEXT("a@b,<c>")},
      {"P-ADDR-07", TEXT("\" \""), TEXT(" ")},
      {"P-UTF8-04", TEXT("\xC3\xA9"), TEXT("\xC3\xA9")},
      {"P-UTF8-04", TEXT("\"\xC3\xA9 x\""), TEXT("\xC3\xA9 x")},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct encode_input input = {guard_copy(0, rows[i].decoded), UTF8};
    check_format(rows[i].rule, input.decoded, encode, &input, rows[i].spelt);
    input.flags = 0;
    if (has_high_octet(input.decoded)) {
      check_refused(rows[i].rule, input.decoded, encode, &input, EHLO_ERR_TEXT);
    } else {
      check_format(rows[i].rule, input.decoded, encode, &input, rows[i].spelt);
    }
  }
  static const ehlo_span wrong[] = {TEXT(""),   TEXT("\r"),   TEXT("a\nb"),  TEXT("a\0"),
                                    TEXT("\t"), TEXT("\x7F"), TEXT("a \xC3")};
  for (size_t i = 0; i < ROWS(wrong); i++) {
    struct encode_input input = {guard_copy(0, wrong[i]), UTF8};
    check_refused("P-ADDR-05", input.decoded, encode, &input, EHLO_ERR_TEXT);
  }
  struct encode_input nothing = {{NULL, 0}, UTF8};
  check_refused("P-ADDR-05", nothing.decoded, encode, &nothing, EHLO_ERR_TEXT);
}

static void spellings_of_one_local_part_are_equal(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(local_parts); i++) {
    for (size_t j = 0; j < ROWS(local_parts); j++) {
      ehlo_span a = guard_copy(0, local_parts[i].spelt);
      ehlo_span b = guard_copy(1, local_parts[j].spelt);
      CHECK("P-ADDR-07", a,
            ehlo_local_part_equal(a, b) == ehlo_span_equal(local_parts[i].decoded, local_parts[j].decoded));
    }
  }
  assert_false(ehlo_local_part_equal(SPAN("abc"), SPAN("ABC"))); /* P-ADDR-08 */
  assert_false(ehlo_local_part_equal(SPAN("abc"), SPAN("ab")));
  assert_false(ehlo_local_part_equal(SPAN("ab"), SPAN("\"abc\"")));
  assert_false(ehlo_local_part_equal(SPAN("a b"), SPAN("a b"))); /* no local-parts at all */
  assert_false(ehlo_local_part_equal(SPAN("\"a"), SPAN("\"a")));
  assert_false(ehlo_local_part_equal(SPAN(""), SPAN("")));
}

/* ---- formatting ---- */

struct format_input {
  ehlo_span local_part;
  ehlo_span domain;
  uint32_t flags;
};

static int format(const void *input, char *buffer, size_t size, size_t *length)
{
  const struct format_input *in = input;
  return ehlo_format_path(in->local_part, in->domain, in->flags, buffer, size, length);
}

static void paths_are_formatted(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    struct format_input in;
    ehlo_span want; /* empty: refused */
  } rows[] = {
      {"P-ADDR-01", {TEXT("user"), TEXT("example.org"), 0}, TEXT("<user@example.org>")},
      {"P-ADDR-01", {TEXT(""), TEXT(""), 0}, TEXT("<>")},
      {"S-RCPT-03", {TEXT("postmaster"), TEXT(""), 0}, TEXT("<postmaster>")},
      {"S-RCPT-03", {TEXT("PostMaster"), TEXT(""), 0}, TEXT("<PostMaster>")},
      {"P-ADDR-07", {TEXT("a b"), TEXT("example.org"), 0}, TEXT("<\"a b\"@example.org>")},
      {"P-ADDR-12", {TEXT("a"), TEXT("[192.0.2.1]"), 0}, TEXT("<a@[192.0.2.1]>")},
      {"P-ADDR-13", {TEXT("a"), TEXT("[IPv6:::1]"), 0}, TEXT("<a@[IPv6:::1]>")},
      {"P-UTF8-04", {TEXT("\xC3\xA9"), TEXT("\xC3\xA9"), UTF8}, TEXT("<\xC3\xA9@\xC3\xA9>")},
      {"P-ADDR-10", {TEXT("a"), TEXT("b_c"), UNDERSCORE}, TEXT("<a@b_c>")},
      {"P-UTF8-04", {TEXT("\xC3\xA9"), TEXT("b"), 0}, TEXT("")},
      {"P-UTF8-04", {TEXT("a"), TEXT("\xC3\xA9"), 0}, TEXT("")},
      {"P-ADDR-10", {TEXT("a"), TEXT("b_c"), 0}, TEXT("")},
      {"P-ADDR-01", {TEXT("a"), TEXT(""), 0}, TEXT("")},
      {"P-ADDR-01", {TEXT(""), TEXT("b"), 0}, TEXT("")},
      {"P-ADDR-10", {TEXT("a"), TEXT("b."), 0}, TEXT("")},
      {"P-ADDR-10", {TEXT("a"), TEXT("b>"), 0}, TEXT("")},
      {"P-ADDR-10", {TEXT("a"), TEXT("b> SIZE=1"), 0}, TEXT("")},
      {"P-ADDR-19", {TEXT("a\r\nDATA"), TEXT("b"), 0}, TEXT("")},
      {"P-ADDR-19", {TEXT("a"), TEXT("b\r\nDATA"), 0}, TEXT("")},
      {"P-ADDR-15", {TEXT("a"), TEXT("[x:y]"), 0}, TEXT("")},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct format_input input = {guard_copy(0, rows[i].in.local_part), guard_copy(1, rows[i].in.domain),
                                 rows[i].in.flags};
    if (rows[i].want.len == 0) {
      check_refused(rows[i].rule, input.domain, format, &input, EHLO_ERR_TEXT);
      continue;
    }
    check_format(rows[i].rule, input.domain, format, &input, rows[i].want);
    ehlo_path path;
    size_t used;
    CHECK(rows[i].rule, rows[i].want, ehlo_parse_path(rows[i].want, input.flags, &path, &used) == EHLO_OK);
    CHECK(rows[i].rule, rows[i].want, used == rows[i].want.len && ehlo_span_equal(path.domain.raw, input.domain));
  }
}

/* Each good path, taken apart, put together again, and taken apart once more. */
static void paths_survive_the_round_trip(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(good_paths); i++) {
    const struct path_row *row = &good_paths[i];
    ehlo_path path;
    ehlo_path again;
    size_t used;
    char decoded[128];
    char formatted[128];
    size_t length = 0;
    assert_int_equal(ehlo_parse_path(row->text, row->flags, &path, &used), EHLO_OK);
    if (path.kind != EHLO_PATH_NULL) {
      assert_int_equal(ehlo_local_part_decode(path.local_part, decoded, sizeof decoded, &length), EHLO_OK);
    }
    ehlo_span local_part = {decoded, length};
    CHECK("P-ADDR-07", row->text,
          ehlo_format_path(local_part, path.domain.raw, row->flags, formatted, sizeof formatted, &length) == EHLO_OK);
    ehlo_span text = {formatted, length};
    CHECK("P-ADDR-07", text, ehlo_parse_path(text, row->flags, &again, &used) == EHLO_OK && used == length);
    CHECK("P-ADDR-07", text, again.kind == path.kind && again.route.len == 0);
    CHECK("P-ADDR-07", text, ehlo_span_equal(again.domain.raw, path.domain.raw));
    CHECK("P-ADDR-07", text, path.kind == EHLO_PATH_NULL || ehlo_local_part_equal(again.local_part, path.local_part));
  }
}

static void missing_outputs_are_refused(void **state)
{
  (void)state;
  ehlo_path path;
  ehlo_domain domain;
  size_t used = 7;
  assert_int_equal(ehlo_parse_path(SPAN("<a@b>"), 0, NULL, &used), EHLO_ERR_ARGUMENT);
  assert_int_equal(used, 0);
  memset(&path, 0xAA, sizeof path);
  assert_int_equal(ehlo_parse_path(SPAN("<a@b>"), 0, &path, NULL), EHLO_ERR_ARGUMENT);
  assert_true(is_zero(&path, sizeof path));
  assert_int_equal(ehlo_parse_mailbox(SPAN("a@b"), 0, NULL, &used), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_parse_mailbox(SPAN("a@b"), 0, &path, NULL), EHLO_ERR_ARGUMENT);
  used = 7;
  assert_int_equal(ehlo_parse_domain(SPAN("b"), 0, NULL, &used), EHLO_ERR_ARGUMENT);
  assert_int_equal(used, 0);
  memset(&domain, 0xAA, sizeof domain);
  assert_int_equal(ehlo_parse_domain(SPAN("b"), 0, &domain, NULL), EHLO_ERR_ARGUMENT);
  assert_true(is_zero(&domain, sizeof domain));
  ehlo_span nothing = {NULL, 0};
  assert_int_equal(ehlo_parse_path(nothing, 0, &path, &used), EHLO_ERR_SYNTAX);
  assert_int_equal(ehlo_parse_mailbox(nothing, 0, &path, &used), EHLO_ERR_SYNTAX);
  assert_int_equal(ehlo_parse_domain(nothing, 0, &domain, &used), EHLO_ERR_SYNTAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_paths_are_taken_apart),
      cmocka_unit_test(what_follows_a_path_is_left),
      cmocka_unit_test(no_front_part_of_a_path_is_one),
      cmocka_unit_test(flags_are_needed),
      cmocka_unit_test(bad_paths_are_refused),
      cmocka_unit_test(each_octet_stands_where_it_may),
      cmocka_unit_test(mailboxes_need_no_brackets),
      cmocka_unit_test(domains_are_matched_as_far_as_they_go),
      cmocka_unit_test(address_literals_are_decoded),
      cmocka_unit_test(long_parts_are_taken),
      cmocka_unit_test(local_parts_are_decoded),
      cmocka_unit_test(local_parts_are_encoded_with_least_quoting),
      cmocka_unit_test(spellings_of_one_local_part_are_equal),
      cmocka_unit_test(paths_are_formatted),
      cmocka_unit_test(paths_survive_the_round_trip),
      cmocka_unit_test(missing_outputs_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
