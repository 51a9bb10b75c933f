/* fuzz_sasl.c: the messages of PLAIN, EXTERNAL, XOAUTH2 and OAUTHBEARER, both ways.
 *
 * The input: one octet, of which bits 0 and 1 choose the mechanism and bit 2 asks for the second half; then a message;
 * or, for the second half, two octets of a port and the fields, parted by LF. The names of mechanisms are found in it
 * too.
 *
 * Held to: what is refused leaves an empty struct; what is read lies in the message, is told again and read back as the
 * same, which for PLAIN and EXTERNAL is the very message; what is told of a struct filled with anything says what the
 * struct does.
 */
#include "fuzz_grammar.h"

static const uint32_t mechanisms[] = {EHLO_SASL_PLAIN, EHLO_SASL_EXTERNAL, EHLO_SASL_XOAUTH2, EHLO_SASL_OAUTHBEARER};

static ehlo_credentials nothing(void)
{
  ehlo_credentials credentials;
  memset(&credentials, 0, sizeof credentials);
  credentials.struct_size = sizeof credentials;
  return credentials;
}

static int same(const ehlo_credentials *a, const ehlo_credentials *b)
{
  return a->mechanism == b->mechanism && ehlo_span_equal(a->authzid, b->authzid) &&
         ehlo_span_equal(a->authcid, b->authcid) && ehlo_span_equal(a->secret, b->secret) &&
         ehlo_span_equal(a->host, b->host) && a->port == b->port;
}

/* Into blocks of exactly the size told, and one octet less. Returns the result. */
static int tell(const ehlo_credentials *credentials, ehlo_span *message)
{
  size_t needed;
  size_t length;
  char *none = block_of(0);
  int result = ehlo_sasl_encode(credentials, none, 0, &needed);
  free(none);
  char *buffer = block_of(needed);
  message->ptr = buffer;
  message->len = needed;
  REQUIRE(result == EHLO_ERR_BUFFER ? needed > 0 : needed == 0);
  if (result == EHLO_ERR_BUFFER) {
    char *smaller = block_of(needed - 1);
    REQUIRE(ehlo_sasl_encode(credentials, smaller, needed - 1, &length) == EHLO_ERR_BUFFER && length == needed);
    free(smaller);
    result = ehlo_sasl_encode(credentials, buffer, needed, &length);
    REQUIRE(result == EHLO_OK && length == needed);
  }
  return result;
}

/* What was told is read back as the same. */
static void check_told(const ehlo_credentials *credentials, ehlo_span told)
{
  ehlo_credentials again = nothing();
  ehlo_span once_more;
  REQUIRE(ehlo_sasl_decode(credentials->mechanism, told, &again) == EHLO_OK && same(&again, credentials));
  REQUIRE(tell(&again, &once_more) == EHLO_OK && ehlo_span_equal(once_more, told));
  release(once_more);
}

static size_t count(ehlo_span text, char octet)
{
  size_t found = 0;
  for (size_t i = 0; i < text.len; i++) {
    found += text.ptr[i] == octet;
  }
  return found;
}

/* By counting: PLAIN is UTF-8 with two NUL in it, EXTERNAL with none, and PLAIN has something behind each of them. */
static int simple_reading(uint32_t mechanism, ehlo_span message)
{
  if (mechanism == EHLO_SASL_EXTERNAL) {
    return count(message, '\0') == 0 && ehlo_utf8_valid(message) == message.len;
  }
  int beside = 0;
  for (size_t i = 1; i < message.len; i++) {
    beside |= message.ptr[i - 1] == '\0' && message.ptr[i] == '\0';
  }
  return count(message, '\0') == 2 && message.ptr[message.len - 1] != '\0' && !beside &&
         ehlo_utf8_valid(message) == message.len;
}

static void check_message(uint32_t mechanism, ehlo_span message)
{
  ehlo_credentials credentials = nothing();
  ehlo_credentials empty = nothing();
  int result = ehlo_sasl_decode(mechanism, message, &credentials);
  int exact = mechanism == EHLO_SASL_PLAIN || mechanism == EHLO_SASL_EXTERNAL;
  REQUIRE(result == EHLO_OK || result == EHLO_ERR_SYNTAX);
  REQUIRE(!exact || (result == EHLO_OK) == simple_reading(mechanism, message));
  REQUIRE(credentials.struct_size == sizeof credentials);
  if (result != EHLO_OK) {
    REQUIRE(same(&credentials, &empty));
    return;
  }
  REQUIRE(credentials.mechanism == mechanism && credentials.port <= 65535);
  const ehlo_span *spans[] = {&credentials.authzid, &credentials.authcid, &credentials.secret, &credentials.host};
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
    REQUIRE(lies_inside(*spans[i], message));
  }
  ehlo_span told;
  REQUIRE(tell(&credentials, &told) == EHLO_OK);
  REQUIRE(exact ? ehlo_span_equal(told, message) : told.len <= message.len);
  check_told(&credentials, told);
  release(told);
}

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

static void check_filled(uint32_t mechanism, uint32_t port, ehlo_span text)
{
  ehlo_credentials credentials = nothing();
  ehlo_credentials empty = nothing();
  credentials.mechanism = mechanism;
  credentials.port = port == 65535 ? 65536 : port;
  credentials.authcid = take_part(&text);
  credentials.secret = take_part(&text);
  credentials.authzid = take_part(&text);
  credentials.host = take_part(&text);
  ehlo_span told;
  int result = tell(&credentials, &told);
  REQUIRE(result == EHLO_OK || result == EHLO_ERR_TEXT || result == EHLO_ERR_ARGUMENT);
  if (result == EHLO_OK) {
    ehlo_credentials said = credentials;
    if (mechanism != EHLO_SASL_OAUTHBEARER) {
      said.host = empty.host;
      said.port = 0;
    }
    if (mechanism == EHLO_SASL_XOAUTH2) {
      said.authzid = empty.authzid;
    }
    if (mechanism == EHLO_SASL_EXTERNAL || mechanism == EHLO_SASL_OAUTHBEARER) {
      said.authcid = empty.authcid;
    }
    if (mechanism == EHLO_SASL_EXTERNAL) {
      said.secret = empty.secret;
    }
    check_told(&said, told);
  }
  release(told);
}

static void check_name(ehlo_span name)
{
  uint32_t mechanism = ehlo_sasl_find(name);
  REQUIRE(mechanism < EHLO_SASL_COUNT);
  if (mechanism != EHLO_SASL_OTHER) {
    REQUIRE(ehlo_sasl_is_name(name) && ehlo_span_equal_nocase(name, ehlo_span_of(ehlo_sasl_name(mechanism))));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1) {
    return 0;
  }
  uint32_t mechanism = mechanisms[data[0] & 3];
  if ((data[0] & 4) == 0) {
    ehlo_span message = copy_of(data + 1, size - 1);
    check_name(message);
    check_message(mechanism, message);
    release(message);
  } else if (size >= 3) {
    ehlo_span text = copy_of(data + 3, size - 3);
    check_filled(mechanism, (uint32_t)data[1] << 8 | data[2], text);
    release(text);
  }
  return 0;
}
