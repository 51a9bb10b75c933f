/* test_sasl.c: the mechanisms of AUTH by name, and the one message of those that have one. */
#include "check.h"

#include "mechanism/sasl.h"

enum {
  PLAIN = EHLO_SASL_PLAIN,
  EXTERNAL = EHLO_SASL_EXTERNAL,
  XOAUTH2 = EHLO_SASL_XOAUTH2,
  BEARER = EHLO_SASL_OAUTHBEARER
};

#define TOKEN "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
#define NONE  TEXT("")

/* ---- names ---- */

static void mechanisms_have_their_names(void **state)
{
  (void)state;
  static const struct {
    uint32_t mechanism;
    const char *rule, *name;
    int client_first, in_clear, is_complete;
  } facts[] = {
      {EHLO_SASL_OTHER, "RFC 4422 3.1", "?", 0, 0, 0},
      {EHLO_SASL_PLAIN, "RFC 4616 2", "PLAIN", 1, 1, 1},
      {EHLO_SASL_LOGIN, "draft-murchison-sasl-login", "LOGIN", 0, 1, 1},
      {EHLO_SASL_EXTERNAL, "RFC 4422 A.1", "EXTERNAL", 1, 0, 1},
      {EHLO_SASL_XOAUTH2, "XOAUTH2", "XOAUTH2", 1, 1, 1},
      {EHLO_SASL_OAUTHBEARER, "RFC 7628 3", "OAUTHBEARER", 1, 1, 1},
      {EHLO_SASL_CRAM_MD5, "RFC 2195 2", "CRAM-MD5", 0, 0, 0},
      {EHLO_SASL_SCRAM_SHA_1, "RFC 5802 4", "SCRAM-SHA-1", 1, 0, 0},
      {EHLO_SASL_SCRAM_SHA_1_PLUS, "RFC 5802 4", "SCRAM-SHA-1-PLUS", 1, 0, 0},
      {EHLO_SASL_SCRAM_SHA_256, "RFC 7677 3", "SCRAM-SHA-256", 1, 0, 0},
      {EHLO_SASL_SCRAM_SHA_256_PLUS, "RFC 7677 3", "SCRAM-SHA-256-PLUS", 1, 0, 0},
  };
  assert_int_equal(ROWS(facts), EHLO_SASL_COUNT);
  for (size_t i = 0; i < ROWS(facts); i++) {
    uint32_t mechanism = facts[i].mechanism;
    ehlo_span name = guard_copy(0, ehlo_span_of(facts[i].name));
    CHECK(facts[i].rule, name, mechanism == i && strcmp(ehlo_sasl_name(mechanism), facts[i].name) == 0);
    CHECK(facts[i].rule, name, ehlo_sasl_client_first(mechanism) == facts[i].client_first);
    CHECK(facts[i].rule, name, ehlo_sasl_in_clear(mechanism) == facts[i].in_clear);
    CHECK(facts[i].rule, name, ehlo_sasl_is_complete(mechanism) == facts[i].is_complete);
    CHECK("P-AUTH-01", name, ehlo_sasl_find(name) == mechanism);
    CHECK("P-AUTH-01", name, ehlo_sasl_is_name(name) == (mechanism != EHLO_SASL_OTHER));
    for (size_t length = 0; length < name.len; length++) {
      ehlo_span part = guard_copy(1, front(name, length));
      uint32_t want = length == 11 && mechanism == EHLO_SASL_SCRAM_SHA_1_PLUS     ? EHLO_SASL_SCRAM_SHA_1
                      : length == 13 && mechanism == EHLO_SASL_SCRAM_SHA_256_PLUS ? EHLO_SASL_SCRAM_SHA_256
                                                                                  : EHLO_SASL_OTHER;
      CHECK("P-AUTH-01", part, ehlo_sasl_find(part) == want);
    }
    char text[32];
    for (size_t at = 0; at < name.len; at++) {
      memcpy(text, name.ptr, name.len);
      text[at] = (char)(text[at] ^ 0x20);
      int letter = name.ptr[at] >= 'A' && name.ptr[at] <= 'Z';
      ehlo_span other = guard_copy(1, (ehlo_span){text, name.len});
      CHECK("P-AUTH-01", other, ehlo_sasl_find(other) == (letter ? mechanism : (uint32_t)EHLO_SASL_OTHER));
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = 'X';
    ehlo_span longer = guard_copy(1, (ehlo_span){text, name.len + 1});
    CHECK("P-AUTH-01", longer, ehlo_sasl_find(longer) == EHLO_SASL_OTHER);
  }
  static const uint32_t none[] = {EHLO_SASL_COUNT, EHLO_SASL_COUNT + 1, UINT32_MAX};
  for (size_t i = 0; i < ROWS(none); i++) {
    assert_string_equal(ehlo_sasl_name(none[i]), "?");
    assert_false(ehlo_sasl_client_first(none[i]) | ehlo_sasl_in_clear(none[i]) | ehlo_sasl_is_complete(none[i]));
  }
  assert_int_equal(ehlo_sasl_find((ehlo_span){NULL, 0}), EHLO_SASL_OTHER);
}

static void names_are_of_twenty_characters(void **state)
{
  (void)state;
  for (size_t length = 0; length < 24; length++) {
    ehlo_span name = guard_copy(0, front(SPAN("ABCDEFGHIJKLMNOPQRSTUVWX"), length));
    CHECK("P-AUTH-01", name, ehlo_sasl_is_name(name) == (length >= 1 && length <= 20));
  }
  for (unsigned octet = 0; octet < 256; octet++) {
    char text[] = {'A', (char)octet};
    ehlo_span name = guard_copy(0, (ehlo_span){text, 2});
    int good = (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z') || (octet >= '0' && octet <= '9') ||
               octet == '-' || octet == '_';
    CHECK("P-AUTH-01", name, ehlo_sasl_is_name(name) == good);
  }
  assert_int_equal(ehlo_sasl_is_name((ehlo_span){NULL, 0}), 0);
}

/* ---- messages ---- */

struct good_row {
  const char *rule;
  uint32_t mechanism;
  ehlo_span message;
  ehlo_span want; /* how it is told again; SAME */
  ehlo_span authzid, authcid, secret, host;
  uint32_t port;
};

#define SAME       \
  {                \
    NULL, SIZE_MAX \
  }

static const struct good_row good[] = {
    /* PLAIN: RFC 4616 4 and the edges */
    {"P-AUTH-31", PLAIN, TEXT("\0tim\0tanstaaftanstaaf"), SAME, NONE, TEXT("tim"), TEXT("tanstaaftanstaaf"), NONE, 0},
    {"P-AUTH-31", PLAIN, TEXT("Ursel\0Kurt\0xipj3plmq"), SAME, TEXT("Ursel"), TEXT("Kurt"), TEXT("xipj3plmq"), NONE, 0},
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0c"), SAME, TEXT("a"), TEXT("b"), TEXT("c"), NONE, 0},
    {"P-AUTH-31", PLAIN, TEXT("\0b\0c"), SAME, NONE, TEXT("b"), TEXT("c"), NONE, 0},
    {"P-AUTH-31", PLAIN, TEXT("\1\0\x7F\0 \t\r\n=,"), SAME, TEXT("\1"), TEXT("\x7F"), TEXT(" \t\r\n=,"), NONE, 0},
    {"P-AUTH-31", PLAIN, TEXT("\xC3\xA9\0\xE2\x82\xAC\0\xF0\x9F\x98\x80"), SAME, TEXT("\xC3\xA9"), TEXT("\xE2\x82\xAC"),
     TEXT("\xF0\x9F\x98\x80"), NONE, 0},
    /* EXTERNAL: RFC 4422 A.2 */
    {"RFC 4422 A.1", EXTERNAL, TEXT(""), SAME, NONE, NONE, NONE, NONE, 0},
    {"RFC 4422 A.1", EXTERNAL, TEXT("fred@example.com"), SAME, TEXT("fred@example.com"), NONE, NONE, NONE, 0},
    {"RFC 4422 A.1", EXTERNAL, TEXT("\1\x7F=,\xC3\xA9"), SAME, TEXT("\1\x7F=,\xC3\xA9"), NONE, NONE, NONE, 0},
    /* XOAUTH2: the example of Google's documents */
    {"XOAUTH2", XOAUTH2,
     TEXT("user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1"), SAME, NONE,
     TEXT("someuser@example.com"), TEXT("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"), NONE, 0},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer t\1\1"), SAME, NONE, TEXT("u"), TEXT("t"), NONE, 0},
    {"XOAUTH2", XOAUTH2, TEXT("user=a=b,c d\1auth=Bearer t=\1\1"), SAME, NONE, TEXT("a=b,c d"), TEXT("t="), NONE, 0},
    {"XOAUTH2", XOAUTH2, TEXT("user=\xC3\xA9~\1auth=bEARER   t\1\1"), TEXT("user=\xC3\xA9~\1auth=Bearer t\1\1"), NONE,
     TEXT("\xC3\xA9~"), TEXT("t"), NONE, 0},
    /* OAUTHBEARER: RFC 7628 4.1 */
    {"RFC 7628 3.1", BEARER,
     TEXT("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer " TOKEN "\1\1"), SAME,
     TEXT("user@example.com"), NONE, TEXT(TOKEN), TEXT("server.example.com"), 143},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1\1"), SAME, NONE, NONE, TEXT("t"), NONE, 0},
    {"RFC 7628 3.1", BEARER, TEXT("y,,\1auth=BEARER    t\1\1"), TEXT("n,,\1auth=Bearer t\1\1"), NONE, NONE, TEXT("t"),
     NONE, 0},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=BeArEr t\1port=1\1host=h\1\1"),
     TEXT("n,,\1host=h\1port=1\1auth=Bearer t\1\1"), NONE, NONE, TEXT("t"), TEXT("h"), 1},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=65535\1auth=Bearer t\1\1"), SAME, NONE, NONE, TEXT("t"), NONE, 65535},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1host=!~[2001:db8::1]:25,=\1auth=Bearer t\1\1"), SAME, NONE, NONE, TEXT("t"),
     TEXT("!~[2001:db8::1]:25,="), 0},
    {"RFC 7628 3.1", BEARER, TEXT("n,a=a=2Cb=3Dc,\1auth=Bearer t\1\1"), SAME, TEXT("a=2Cb=3Dc"), NONE, TEXT("t"), NONE,
     0},
    {"RFC 5801 4", BEARER, TEXT("n,a==2C,\1auth=Bearer t\1\1"), SAME, TEXT("=2C"), NONE, TEXT("t"), NONE, 0},
    {"RFC 5801 4", BEARER, TEXT("n,a= \xF0\x9F\x98\x80~,\1auth=Bearer t\1\1"), SAME, TEXT(" \xF0\x9F\x98\x80~"), NONE,
     TEXT("t"), NONE, 0},
    /* Unknown pairs are ignored, whatever their values, and however often they come. */
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1mthd=POST\1path=/\1post=\1qs= \t\r\n!~=\1qs=2\1Auth=x\1auth=Bearer t\1zZ=\1\1"),
     TEXT("n,,\1auth=Bearer t\1\1"), NONE, NONE, TEXT("t"), NONE, 0},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1aut=x\1authh=x\1hos=x\1ports=0\1\1"),
     TEXT("n,,\1auth=Bearer t\1\1"), NONE, NONE, TEXT("t"), NONE, 0},
};

struct bad_row {
  const char *rule;
  uint32_t mechanism;
  ehlo_span message;
};

static const struct bad_row bad[] = {
    {"P-AUTH-31", PLAIN, TEXT("")},
    {"P-AUTH-31", PLAIN, TEXT("a")},
    {"P-AUTH-31", PLAIN, TEXT("\0")},
    {"P-AUTH-31", PLAIN, TEXT("\0\0")},
    {"P-AUTH-31", PLAIN, TEXT("\0\0c")},
    {"P-AUTH-31", PLAIN, TEXT("\0b\0")},
    {"P-AUTH-31", PLAIN, TEXT("\0b")},
    {"P-AUTH-31", PLAIN, TEXT("a\0b")},
    {"P-AUTH-31", PLAIN, TEXT("a\0\0c")},
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0")},
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0c\0")},
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0c\0d")},
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0\0")},
    {"P-AUTH-31", PLAIN, TEXT("\xFF\0b\0c")},
    {"P-AUTH-31", PLAIN, TEXT("a\0\xC0\x80\0c")}, /* NUL, overlong */
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0\xED\xA0\x80")},
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0\xF4\x90\x80\x80")},
    {"P-AUTH-31", PLAIN, TEXT("a\xC3\0\xA9\0c")}, /* a character cut in two */
    {"P-AUTH-31", PLAIN, TEXT("a\0b\0c\xC3")},
    {"RFC 4422 A.1", EXTERNAL, TEXT("\0")},
    {"RFC 4422 A.1", EXTERNAL, TEXT("a\0")},
    {"RFC 4422 A.1", EXTERNAL, TEXT("\0a")},
    {"RFC 4422 A.1", EXTERNAL, TEXT("\x80")},
    {"RFC 4422 A.1", EXTERNAL, TEXT("a\xE2\x82")},
    {"XOAUTH2", XOAUTH2, TEXT("")},
    {"XOAUTH2", XOAUTH2, TEXT("\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=\1auth=Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer \1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearert\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth= Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Basic t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer\tt\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer t \1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer t\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer t")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer t\1\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer t\1x\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1auth=Bearer t\1x")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1\1auth=Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("auth=Bearer t\1user=u\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("auth=Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("User=u\1auth=Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\1Auth=Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\0\1auth=Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\r\n\1auth=Bearer t\1\1")},
    {"XOAUTH2", XOAUTH2, TEXT("user=u\xFF\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("")},
    {"RFC 7628 3.1", BEARER, TEXT("\1")}, /* answers an error */
    {"RFC 7628 3.1", BEARER, TEXT("n,,")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1\1")}, /* without auth */
    {"RFC 7628 3.1", BEARER, TEXT("n,a=u,\1host=h\1port=1\1\1")},
    {"RFC 7628 4.3", BEARER, TEXT("n,a=u,\1host=h\1port=1\1auth=\1\1")}, /* with an empty one */
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1\1x")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT(",,\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("N,,\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("yn,,\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("p=tls-unique,,\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("F,n,,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,u,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,A=u,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u,v,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u=,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u=2,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u=2c,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u=3d,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u=41,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a==,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u\0,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u\1,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u\x7F,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=u\x1F,\1auth=Bearer t\1\1")},
    {"RFC 5801 4", BEARER, TEXT("n,a=\xC3,\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1auth=\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t\1auth=Bearer \1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1host=h\1host=h\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=1\1port=1\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Basic t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer  \1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1auth=Bearer t,x=y\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1host=\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1host=a b\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1host=h\x7F\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1host=\xC3\xA9\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=0\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=025\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=65536\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=99999\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=100000\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=4294967297\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=-1\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1port=25x\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1=x\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1x\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1x1=y\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1x-y=z\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1x=\0\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1x=\x02\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1x=\x7F\1auth=Bearer t\1\1")},
    {"RFC 7628 3.1", BEARER, TEXT("n,,\1x=\xC3\xA9\1auth=Bearer t\1\1")},
};

/* Filled with what may not stay. */
static ehlo_credentials dirty(void)
{
  ehlo_credentials credentials;
  memset(&credentials, 0xAA, sizeof credentials);
  credentials.struct_size = sizeof credentials;
  return credentials;
}

static int encode(const void *credentials, char *buffer, size_t size, size_t *length)
{
  return ehlo_sasl_encode(credentials, buffer, size, length);
}

static void check_fields(const struct good_row *row, const ehlo_credentials *got, ehlo_span message)
{
  CHECK(row->rule, message, got->struct_size == sizeof *got && got->mechanism == row->mechanism);
  CHECK(row->rule, message, ehlo_span_equal(got->authzid, row->authzid) && lies_inside(got->authzid, message));
  CHECK(row->rule, message, ehlo_span_equal(got->authcid, row->authcid) && lies_inside(got->authcid, message));
  CHECK(row->rule, message, ehlo_span_equal(got->secret, row->secret) && lies_inside(got->secret, message));
  CHECK(row->rule, message, ehlo_span_equal(got->host, row->host) && lies_inside(got->host, message));
  CHECK(row->rule, message, got->port == row->port);
}

static void good_messages_are_read_and_told_again(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(good); i++) {
    const struct good_row *row = &good[i];
    ehlo_span want = row->want.len == SIZE_MAX ? row->message : row->want;
    ehlo_span message = guard_copy(0, row->message);
    ehlo_credentials credentials = dirty();
    CHECK(row->rule, message, ehlo_sasl_decode(row->mechanism, message, &credentials) == EHLO_OK);
    check_fields(row, &credentials, message);
    check_format(row->rule, message, encode, &credentials, want);
    message = guard_copy(0, want);
    CHECK(row->rule, message, ehlo_sasl_decode(row->mechanism, message, &credentials) == EHLO_OK);
    check_fields(row, &credentials, message);
    /* The fields of a larger struct, of another version, are left alone. */
    struct {
      ehlo_credentials credentials;
      uint64_t more;
    } larger = {.credentials.struct_size = sizeof larger, .more = 7};
    CHECK(row->rule, message, ehlo_sasl_decode(row->mechanism, message, &larger.credentials) == EHLO_OK);
    CHECK(row->rule, message, larger.credentials.struct_size == sizeof larger && larger.more == 7);
    check_format(row->rule, message, encode, &larger, want);
  }
}

static void check_bad(const char *rule, uint32_t mechanism, ehlo_span text)
{
  ehlo_span message = guard_copy(0, text);
  ehlo_credentials credentials = dirty();
  CHECK(rule, message, ehlo_sasl_decode(mechanism, message, &credentials) == EHLO_ERR_SYNTAX);
  CHECK(rule, message, credentials.struct_size == sizeof credentials);
  credentials.struct_size = 0;
  CHECK(rule, message, is_zero(&credentials.mechanism, sizeof credentials.mechanism) && credentials.port == 0);
  CHECK(rule, message,
        is_zero(&credentials.authzid, sizeof(ehlo_span)) && is_zero(&credentials.host, sizeof(ehlo_span)));
  CHECK(rule, message,
        is_zero(&credentials.authcid, sizeof(ehlo_span)) && is_zero(&credentials.secret, sizeof(ehlo_span)));
}

static void bad_messages_are_refused(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(bad); i++) {
    check_bad(bad[i].rule, bad[i].mechanism, bad[i].message);
  }
}

/* A message of the OAuth mechanisms is none before its end, nor with anything behind it. */
static void messages_are_whole(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(good); i++) {
    if (good[i].mechanism == XOAUTH2 || good[i].mechanism == BEARER) {
      char text[256];
      for (size_t length = 0; length < good[i].message.len; length++) {
        check_bad(good[i].rule, good[i].mechanism, front(good[i].message, length));
      }
      for (unsigned octet = 0; octet < 256; octet++) {
        memcpy(text, good[i].message.ptr, good[i].message.len);
        text[good[i].message.len] = (char)octet;
        check_bad(good[i].rule, good[i].mechanism, (ehlo_span){text, good[i].message.len + 1});
      }
    }
  }
}

/* The RFC asks for 255 octets; the grammar knows no more of a limit, and so it is what a line holds. */
static void parts_are_as_long_as_a_line_lets_them(void **state)
{
  (void)state;
  static const size_t lengths[] = {1, 254, 255, 256, 1024, 1025, 3000};
  static char text[3 * 3000 + 2];
  for (size_t i = 0; i < ROWS(lengths); i++) {
    size_t part = lengths[i];
    ehlo_credentials credentials = dirty();
    memset(text, 'a', sizeof text);
    text[part] = '\0';
    text[2 * part + 1] = '\0';
    ehlo_span message = guard_copy(0, (ehlo_span){text, 3 * part + 2});
    CHECK("P-AUTH-31", message, ehlo_sasl_decode(PLAIN, message, &credentials) == EHLO_OK);
    CHECK("P-AUTH-31", message, same_place(credentials.authzid, front(message, part)));
    CHECK("P-AUTH-31", message, credentials.authcid.ptr == message.ptr + part + 1 && credentials.authcid.len == part);
    CHECK("P-AUTH-31", message, credentials.secret.ptr == message.ptr + 2 * part + 2 && credentials.secret.len == part);
    char *buffer = guard_room(1, message.len);
    size_t length;
    CHECK("P-AUTH-31", message, ehlo_sasl_encode(&credentials, buffer, message.len, &length) == EHLO_OK);
    CHECK("P-AUTH-31", message, ehlo_span_equal((ehlo_span){buffer, length}, message));
  }
}

/* ---- each octet where it may stand ---- */

/* Is the octet good between `before` and `behind`? */
static void check_octet(uint32_t mechanism, const char *before, size_t before_length, unsigned octet,
                        const char *behind, size_t behind_length, int want)
{
  char text[128];
  memcpy(text, before, before_length);
  text[before_length] = (char)octet;
  memcpy(text + before_length + 1, behind, behind_length);
  ehlo_span message = guard_copy(0, (ehlo_span){text, before_length + 1 + behind_length});
  ehlo_credentials credentials = dirty();
  int result = ehlo_sasl_decode(mechanism, message, &credentials);
  const char *rule = mechanism == PLAIN ? "P-AUTH-31" : ehlo_sasl_name(mechanism);
  CHECK(rule, message, result == (want ? EHLO_OK : EHLO_ERR_SYNTAX));
}

#define OCTET(mechanism, before, behind, want) \
  check_octet(mechanism, before, sizeof(before) - 1, octet, behind, sizeof(behind) - 1, want)

static void each_octet_stands_where_it_may(void **state)
{
  (void)state;
  for (unsigned octet = 0; octet < 256; octet++) {
    int ascii = octet > 0 && octet < 128;
    int clean = octet >= 32 && octet < 127;
    int alpha = (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z');
    int token = alpha || (octet >= '0' && octet <= '9') || (octet != 0 && strchr("-._~+/", (int)octet) != NULL);
    OCTET(PLAIN, "", "\0b\0c", ascii);
    OCTET(PLAIN, "a\0", "\0c", ascii);
    OCTET(PLAIN, "a\0b\0", "", ascii);
    OCTET(EXTERNAL, "", "", ascii);
    OCTET(XOAUTH2, "user=", "\1auth=Bearer t\1\1", clean);
    OCTET(XOAUTH2, "user=u\1auth=Bearer t", "t\1\1", token);
    OCTET(XOAUTH2, "user=u\1auth=Bearer t", "\1\1", token || octet == '=');
    OCTET(BEARER, "n,a=", ",\1auth=Bearer t\1\1", clean && octet != ',' && octet != '=');
    OCTET(BEARER, "n,,\1auth=Bearer ", "\1\1", token);
    OCTET(BEARER, "n,,\1auth=Bearer t", "\1\1", token || octet == '=');
    OCTET(BEARER, "n,,\1auth=Bearer t=", "\1\1", octet == '=');
    OCTET(BEARER, "n,,\1auth=Bearer t\1host=", "\1\1", octet > 32 && octet < 127);
    OCTET(BEARER, "n,,\1auth=Bearer t\1port=", "\1\1", octet >= '1' && octet <= '9');
    OCTET(BEARER, "n,,\1auth=Bearer t\1", "=\1\1", alpha);
    OCTET(BEARER, "n,,\1auth=Bearer t\1x=", "\1\1", clean || octet == '\t' || octet == '\r' || octet == '\n');
    OCTET(BEARER, "", ",,\1auth=Bearer t\1\1", octet == 'n' || octet == 'y');
  }
}

/* ---- what cannot be told ---- */

static void credentials_that_cannot_be_told(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    uint32_t mechanism;
    ehlo_span authzid, authcid, secret, host;
    uint32_t port;
    int error;
  } rows[] = {
      {"P-AUTH-31", PLAIN, NONE, NONE, TEXT("c"), NONE, 0, EHLO_ERR_ARGUMENT},
      {"P-AUTH-31", PLAIN, NONE, TEXT("b"), NONE, NONE, 0, EHLO_ERR_ARGUMENT},
      {"P-AUTH-31", PLAIN, TEXT("a\0"), TEXT("b"), TEXT("c"), NONE, 0, EHLO_ERR_TEXT},
      {"P-AUTH-31", PLAIN, NONE, TEXT("b\0x"), TEXT("c"), NONE, 0, EHLO_ERR_TEXT},
      {"P-AUTH-31", PLAIN, NONE, TEXT("b"), TEXT("\0c"), NONE, 0, EHLO_ERR_TEXT},
      {"P-AUTH-31", PLAIN, TEXT("\xC3"), TEXT("b"), TEXT("c"), NONE, 0, EHLO_ERR_TEXT},
      {"P-AUTH-31", PLAIN, NONE, TEXT("\xC3"), TEXT("c"), NONE, 0, EHLO_ERR_TEXT},
      {"P-AUTH-31", PLAIN, NONE, TEXT("b"), TEXT("\xED\xA0\x80"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 4422 A.1", EXTERNAL, TEXT("\0"), NONE, NONE, NONE, 0, EHLO_ERR_TEXT},
      {"RFC 4422 A.1", EXTERNAL, TEXT("a\xFF"), NONE, NONE, NONE, 0, EHLO_ERR_TEXT},
      {"XOAUTH2", XOAUTH2, TEXT("u"), NONE, TEXT("t"), NONE, 0, EHLO_ERR_ARGUMENT},
      {"XOAUTH2", XOAUTH2, NONE, TEXT("u"), NONE, NONE, 0, EHLO_ERR_ARGUMENT},
      {"XOAUTH2", XOAUTH2, NONE, TEXT("u\1auth=Bearer x\1\1"), TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
      {"XOAUTH2", XOAUTH2, NONE, TEXT("u\x7F"), TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
      {"XOAUTH2", XOAUTH2, NONE, TEXT("\xFF"), TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
      {"XOAUTH2", XOAUTH2, NONE, TEXT("u"), TEXT("t\1"), NONE, 0, EHLO_ERR_TEXT},
      {"XOAUTH2", XOAUTH2, NONE, TEXT("u"), TEXT("="), NONE, 0, EHLO_ERR_TEXT},
      {"XOAUTH2", XOAUTH2, NONE, TEXT("u"), TEXT("Bearer t"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 7628 3.1", BEARER, TEXT("u"), TEXT("u"), NONE, NONE, 0, EHLO_ERR_ARGUMENT},
      {"RFC 7628 3.1", BEARER, NONE, NONE, TEXT("t"), NONE, 65536, EHLO_ERR_ARGUMENT},
      {"RFC 7628 3.1", BEARER, NONE, NONE, TEXT("t"), NONE, UINT32_MAX, EHLO_ERR_ARGUMENT},
      {"RFC 7628 3.1", BEARER, NONE, NONE, TEXT("t=t"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 7628 3.1", BEARER, NONE, NONE, TEXT("t\r\n"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 7628 3.1", BEARER, NONE, NONE, TEXT("t"), TEXT("h\1port=1"), 0, EHLO_ERR_TEXT},
      {"RFC 7628 3.1", BEARER, NONE, NONE, TEXT("t"), TEXT("h "), 0, EHLO_ERR_TEXT},
      {"RFC 7628 3.1", BEARER, NONE, NONE, TEXT("t"), TEXT("\xC3\xA9"), 0, EHLO_ERR_TEXT},
      {"RFC 5801 4", BEARER, TEXT("u,"), NONE, TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 5801 4", BEARER, TEXT("u=v"), NONE, TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 5801 4", BEARER, TEXT("u=2"), NONE, TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 5801 4", BEARER, TEXT("u\1"), NONE, TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
      {"RFC 5801 4", BEARER, TEXT("u\xFF"), NONE, TEXT("t"), NONE, 0, EHLO_ERR_TEXT},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_credentials credentials = {sizeof credentials, rows[i].mechanism, rows[i].authzid, rows[i].authcid,
                                    rows[i].secret,     rows[i].host,      rows[i].port};
    check_refused(rows[i].rule, rows[i].authcid, encode, &credentials, rows[i].error);
  }
}

/* An escape ends with the name, whatever stands behind it. */
static void escapes_lie_in_the_name(void **state)
{
  (void)state;
  for (size_t length = 2; length <= 4; length++) {
    ehlo_span name = {"u=2C", length};
    ehlo_credentials credentials = {sizeof credentials, BEARER, name, NONE, TEXT("t"), NONE, 0};
    if (length < 4) {
      check_refused("RFC 5801 4", name, encode, &credentials, EHLO_ERR_TEXT);
    } else {
      check_format("RFC 5801 4", name, encode, &credentials, SPAN("n,a=u=2C,\1auth=Bearer t\1\1"));
    }
  }
}

/* What another mechanism has is not looked at. */
static void fields_of_others_do_not_matter(void **state)
{
  (void)state;
  ehlo_span wrong = SPAN("\0\1\xFF");
  ehlo_credentials plain = {sizeof plain, PLAIN, NONE, TEXT("b"), TEXT("c"), wrong, UINT32_MAX};
  ehlo_credentials external = {sizeof external, EXTERNAL, TEXT("a"), wrong, wrong, wrong, UINT32_MAX};
  ehlo_credentials xoauth2 = {sizeof xoauth2, XOAUTH2, wrong, TEXT("u"), TEXT("t"), wrong, UINT32_MAX};
  ehlo_credentials bearer = {sizeof bearer, BEARER, NONE, wrong, TEXT("t"), NONE, 0};
  check_format("P-AUTH-31", plain.secret, encode, &plain, SPAN("\0b\0c"));
  check_format("RFC 4422 A.1", external.authzid, encode, &external, SPAN("a"));
  check_format("XOAUTH2", xoauth2.secret, encode, &xoauth2, SPAN("user=u\1auth=Bearer t\1\1"));
  check_format("RFC 7628 3.1", bearer.secret, encode, &bearer, SPAN("n,,\1auth=Bearer t\1\1"));
}

static void arguments_are_checked(void **state)
{
  (void)state;
  ehlo_credentials credentials = {sizeof credentials, PLAIN, NONE, TEXT("b"), TEXT("c"), NONE, 0};
  ehlo_credentials was = credentials;
  ehlo_span message = SPAN("a\0b\0c");
  char buffer[64];
  size_t length = SIZE_MAX;
  assert_int_equal(ehlo_sasl_decode(PLAIN, message, NULL), EHLO_ERR_ARGUMENT);
  for (uint32_t mechanism = 0; mechanism < EHLO_SASL_COUNT + 2; mechanism++) {
    if (mechanism == PLAIN || mechanism == EXTERNAL || mechanism == XOAUTH2 || mechanism == BEARER) {
      continue;
    }
    assert_int_equal(ehlo_sasl_decode(mechanism, message, &credentials), EHLO_ERR_ARGUMENT);
    assert_memory_equal(&credentials, &was, sizeof was);
    ehlo_credentials other = was;
    other.mechanism = mechanism;
    assert_int_equal(ehlo_sasl_encode(&other, buffer, sizeof buffer, &length), EHLO_ERR_ARGUMENT);
    assert_int_equal(length, 0);
  }
  assert_int_equal(ehlo_sasl_decode(UINT32_MAX, message, &credentials), EHLO_ERR_ARGUMENT);
  credentials.struct_size--;
  assert_int_equal(ehlo_sasl_decode(PLAIN, message, &credentials), EHLO_ERR_ARGUMENT);
  assert_ptr_equal(credentials.authcid.ptr, was.authcid.ptr);
  length = SIZE_MAX;
  assert_int_equal(ehlo_sasl_encode(&credentials, buffer, sizeof buffer, &length), EHLO_ERR_ARGUMENT);
  assert_int_equal(length, 0);
  length = SIZE_MAX;
  assert_int_equal(ehlo_sasl_encode(NULL, buffer, sizeof buffer, &length), EHLO_ERR_ARGUMENT);
  assert_int_equal(length, 0);
  /* An empty span may have no pointer. */
  ehlo_span nothing = {NULL, 0};
  credentials = was;
  assert_int_equal(ehlo_sasl_decode(EXTERNAL, nothing, &credentials), EHLO_OK);
  assert_int_equal(ehlo_sasl_encode(&credentials, buffer, 0, &length), EHLO_OK);
  assert_int_equal(length, 0);
  static const uint32_t others[] = {PLAIN, XOAUTH2, BEARER};
  for (size_t i = 0; i < ROWS(others); i++) {
    assert_int_equal(ehlo_sasl_decode(others[i], nothing, &credentials), EHLO_ERR_SYNTAX);
  }
  credentials = was;
  credentials.authzid = nothing;
  check_format("P-AUTH-31", credentials.secret, encode, &credentials, SPAN("\0b\0c"));
  credentials.mechanism = BEARER;
  credentials.authcid = credentials.host = nothing;
  check_format("RFC 7628 3.1", credentials.secret, encode, &credentials, SPAN("n,,\1auth=Bearer c\1\1"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(mechanisms_have_their_names),
      cmocka_unit_test(names_are_of_twenty_characters),
      cmocka_unit_test(good_messages_are_read_and_told_again),
      cmocka_unit_test(bad_messages_are_refused),
      cmocka_unit_test(messages_are_whole),
      cmocka_unit_test(parts_are_as_long_as_a_line_lets_them),
      cmocka_unit_test(each_octet_stands_where_it_may),
      cmocka_unit_test(credentials_that_cannot_be_told),
      cmocka_unit_test(escapes_lie_in_the_name),
      cmocka_unit_test(fields_of_others_do_not_matter),
      cmocka_unit_test(arguments_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
