/* sasl.c: what is said in AUTH. Floor: mechanism.
 *
 * Readers and predicates return 1 or 0. Of a message, each field is cut off at the octet that ends it and then judged;
 * so nothing is copied, and a secret stands nowhere but where the caller has it.
 */
#include "sasl.h"

#include "../bytes/buffer.h"
#include "ehlo/grammar.h"

#include <string.h>

/* ---- the table ---- */

enum { CLIENT_FIRST = 1, IN_CLEAR = 2, COMPLETE = 4 };

struct mechanism {
  char name[20];
  uint8_t is; /* CLIENT_FIRST, IN_CLEAR, COMPLETE */
};

static const struct mechanism mechanisms[EHLO_SASL_COUNT] = {
    [EHLO_SASL_OTHER] = {"?", 0},
    [EHLO_SASL_PLAIN] = {"PLAIN", CLIENT_FIRST | IN_CLEAR | COMPLETE},
    [EHLO_SASL_LOGIN] = {"LOGIN", IN_CLEAR | COMPLETE},
    [EHLO_SASL_EXTERNAL] = {"EXTERNAL", CLIENT_FIRST | COMPLETE},
    [EHLO_SASL_XOAUTH2] = {"XOAUTH2", CLIENT_FIRST | IN_CLEAR | COMPLETE},
    [EHLO_SASL_OAUTHBEARER] = {"OAUTHBEARER", CLIENT_FIRST | IN_CLEAR | COMPLETE},
    [EHLO_SASL_CRAM_MD5] = {"CRAM-MD5", 0},
    [EHLO_SASL_SCRAM_SHA_1] = {"SCRAM-SHA-1", CLIENT_FIRST},
    [EHLO_SASL_SCRAM_SHA_1_PLUS] = {"SCRAM-SHA-1-PLUS", CLIENT_FIRST},
    [EHLO_SASL_SCRAM_SHA_256] = {"SCRAM-SHA-256", CLIENT_FIRST},
    [EHLO_SASL_SCRAM_SHA_256_PLUS] = {"SCRAM-SHA-256-PLUS", CLIENT_FIRST},
};

static int is(uint32_t mechanism, unsigned what)
{
  return mechanism < EHLO_SASL_COUNT && (mechanisms[mechanism].is & what) != 0;
}

int ehlo_sasl_client_first(uint32_t mechanism)
{
  return is(mechanism, CLIENT_FIRST);
}

int ehlo_sasl_in_clear(uint32_t mechanism)
{
  return is(mechanism, IN_CLEAR);
}

int ehlo_sasl_is_complete(uint32_t mechanism)
{
  return is(mechanism, COMPLETE);
}

const char *ehlo_sasl_name(uint32_t mechanism)
{
  return mechanism < EHLO_SASL_COUNT ? mechanisms[mechanism].name : "?";
}

uint32_t ehlo_sasl_find(ehlo_span name)
{
  for (uint32_t mechanism = EHLO_SASL_OTHER + 1; mechanism < EHLO_SASL_COUNT; mechanism++) {
    if (ehlo_span_equal_nocase(name, ehlo_span_of(mechanisms[mechanism].name))) {
      return mechanism;
    }
  }
  return EHLO_SASL_OTHER;
}

/* sasl-mech = 1*20mech-char    mech-char = UPPER-ALPHA / DIGIT / HYPHEN / UNDERSCORE (RFC 4422 3.1) */
int ehlo_sasl_is_name(ehlo_span name)
{
  for (size_t i = 0; i < name.len; i++) {
    if (!octet_is((unsigned char)name.ptr[i], CLASS_LDH) && name.ptr[i] != '_') {
      return 0;
    }
  }
  return name.len >= 1 && name.len <= SASL_NAME_MAX;
}

/* ---- what fields are made of ---- */

enum { KVSEP = 1 }; /* kvsep = %x01 (RFC 7628 3.1) */

/* SAFE = UTF1 / UTF2 / UTF3 / UTF4 ;; any UTF-8 encoded Unicode character except NUL               (RFC 4616 2)
 * and so UTF8-char-no-nul of RFC 4422 A.1 */
static int is_safe(ehlo_span text)
{
  return text.len == 0 || (memchr(text.ptr, '\0', text.len) == NULL && ehlo_utf8_valid(text) == text.len);
}

/* UTF-8 without the control characters of ASCII: no name has them, and one of them ends it here. */
static int is_clean(ehlo_span text)
{
  for (size_t i = 0; i < text.len; i++) {
    unsigned char octet = (unsigned char)text.ptr[i];
    if (octet < ' ' || octet == 127) {
      return 0;
    }
  }
  return ehlo_utf8_valid(text) == text.len;
}

/* saslname = 1*(UTF8-char-safe / "=2C" / "=3D") ; safe is all but NUL, "=" and ","                  (RFC 5801 4)
 * Without control characters: those would run into the separators of RFC 7628. */
static int is_saslname(ehlo_span name)
{
  for (size_t i = 0; i < name.len; i++) {
    if (name.ptr[i] == ',') {
      return 0;
    }
    if (name.ptr[i] == '=' &&
        (name.len - i < 3 || (memcmp(name.ptr + i, "=2C", 3) != 0 && memcmp(name.ptr + i, "=3D", 3) != 0))) {
      return 0;
    }
  }
  return name.len > 0 && is_clean(name);
}

/* b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="                         (RFC 6750 2.1) */
static int is_token(ehlo_span token)
{
  size_t length = token.len;
  while (length > 0 && token.ptr[length - 1] == '=') {
    length--;
  }
  for (size_t i = 0; i < length; i++) {
    unsigned char octet = (unsigned char)token.ptr[i];
    if (!octet_is(octet, CLASS_LDH) && octet != '.' && octet != '_' && octet != '~' && octet != '+' && octet != '/') {
      return 0;
    }
  }
  return length > 0;
}

/* VCHAR = %x21-7E                                                                               (RFC 5234 B.1) */
static int is_visible(ehlo_span text)
{
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '!' || text.ptr[i] > '~') {
      return 0;
    }
  }
  return 1;
}

/* ---- reading ---- */

/* Takes what stands before the first `end`, and that with it. */
static int cut(ehlo_span *rest, char end, ehlo_span *part)
{
  const char *at = rest->len == 0 ? NULL : memchr(rest->ptr, end, rest->len);
  if (at == NULL) {
    return 0;
  }
  *part = span_between(rest->ptr, at);
  *rest = span_from(*rest, part->len + 1);
  return 1;
}

static int is_word(ehlo_span text, const char *word)
{
  return ehlo_span_equal(text, ehlo_span_of(word));
}

/* Takes these octets. */
static int take(ehlo_span *rest, const char *word)
{
  size_t length = strlen(word);
  if (rest->len < length || memcmp(rest->ptr, word, length) != 0) {
    return 0;
  }
  *rest = span_from(*rest, length);
  return 1;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd                                              (RFC 4616 2) */
static int read_plain(ehlo_span message, ehlo_credentials *into)
{
  into->secret = message;
  return cut(&into->secret, '\0', &into->authzid) && cut(&into->secret, '\0', &into->authcid) &&
         into->authcid.len > 0 && into->secret.len > 0 && is_safe(into->authzid) && is_safe(into->authcid) &&
         is_safe(into->secret);
}

/* external-initial-resp = authz-id-string    authz-id-string = *( UTF8-char-no-nul )            (RFC 4422 A.1) */
static int read_external(ehlo_span message, ehlo_credentials *into)
{
  into->authzid = message;
  return is_safe(message);
}

/* credentials = "Bearer" 1*SP b64token, the scheme in any case                         (RFC 6750 2.1, RFC 7628 4) */
static int read_bearer(ehlo_span value, ehlo_span *token)
{
  ehlo_span scheme;
  if (!cut(&value, ' ', &scheme) || !ehlo_span_equal_nocase(scheme, ehlo_span_of("Bearer"))) {
    return 0;
  }
  while (take(&value, " ")) {
  }
  *token = value;
  return is_token(value);
}

/* "user=" user ^A "auth=Bearer " token ^A ^A */
static int read_xoauth2(ehlo_span message, ehlo_credentials *into)
{
  ehlo_span value;
  return take(&message, "user=") && cut(&message, KVSEP, &into->authcid) && into->authcid.len > 0 &&
         is_clean(into->authcid) && take(&message, "auth=") && cut(&message, KVSEP, &value) && is_word(message, "\1") &&
         read_bearer(value, &into->secret);
}

/* "a decimal positive integer string without leading zeros"                                      (RFC 7628 3.1) */
static int read_port(ehlo_span value, uint32_t *port)
{
  uint64_t number;
  if (ehlo_parse_number(value, 5, &number) != EHLO_OK || *value.ptr == '0' || number > UINT16_MAX) {
    return 0;
  }
  *port = (uint32_t)number;
  return 1;
}

/* kvpair = key "=" value kvsep    key = 1*(ALPHA)    value = *(VCHAR / SP / HTAB / CR / LF )        (RFC 7628 3.1)
 * A key is as it is written there. None that is known has an empty value, so one that is set was there before. */
static int read_pair(ehlo_span value, ehlo_credentials *into)
{
  ehlo_span key;
  if (!cut(&value, '=', &key) || key.len == 0 || !span_is(key, CLASS_ALPHA)) {
    return 0;
  }
  if (is_word(key, "auth")) {
    return into->secret.len == 0 && read_bearer(value, &into->secret);
  }
  if (is_word(key, "port")) {
    return into->port == 0 && read_port(value, &into->port);
  }
  if (is_word(key, "host")) {
    int first = into->host.len == 0;
    into->host = value;
    return first && value.len > 0 && is_visible(value);
  }
  for (size_t i = 0; i < value.len; i++) {
    if (!octet_is((unsigned char)value.ptr[i], CLASS_TEXT) && value.ptr[i] != '\r' && value.ptr[i] != '\n') {
      return 0;
    }
  }
  return 1;
}

/* client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep                                         (RFC 7628 3.1)
 * gs2-header = gs2-cb-flag "," [gs2-authzid] ","    gs2-authzid = "a=" saslname                   (RFC 5801 4) */
static int read_oauthbearer(ehlo_span message, ehlo_credentials *into)
{
  ehlo_span flag;
  ehlo_span pair;
  if (!cut(&message, ',', &flag) || (!is_word(flag, "n") && !is_word(flag, "y")) ||
      !cut(&message, ',', &into->authzid) ||
      (into->authzid.len > 0 && !(take(&into->authzid, "a=") && is_saslname(into->authzid))) || !take(&message, "\1")) {
    return 0;
  }
  while (cut(&message, KVSEP, &pair)) {
    if (pair.len == 0) {
      return message.len == 0 && into->secret.len > 0;
    }
    if (!read_pair(pair, into)) {
      return 0;
    }
  }
  return 0;
}

static int read_message(ehlo_span message, ehlo_credentials *into)
{
  switch (into->mechanism) {
  case EHLO_SASL_PLAIN: return read_plain(message, into);
  case EHLO_SASL_EXTERNAL: return read_external(message, into);
  case EHLO_SASL_XOAUTH2: return read_xoauth2(message, into);
  default: return read_oauthbearer(message, into);
  }
}

/* Does it all say in one message of the client? */
static int is_one_message(uint32_t mechanism)
{
  return is(mechanism, CLIENT_FIRST) && is(mechanism, COMPLETE);
}

int ehlo_sasl_decode(uint32_t mechanism, ehlo_span message, ehlo_credentials *into)
{
  if (into == NULL || into->struct_size < sizeof *into || !is_one_message(mechanism)) {
    return EHLO_ERR_ARGUMENT;
  }
  ehlo_credentials credentials = {.struct_size = into->struct_size, .mechanism = mechanism};
  ehlo_credentials none = {.struct_size = into->struct_size};
  int good = read_message(message, &credentials);
  *into = good ? credentials : none;
  return good ? EHLO_OK : EHLO_ERR_SYNTAX;
}

/* ---- telling ---- */

static int needs_authcid(uint32_t mechanism)
{
  return mechanism == EHLO_SASL_PLAIN || mechanism == EHLO_SASL_XOAUTH2;
}

/* Are the fields that the mechanism has there? */
static int fields_are_there(const ehlo_credentials *credentials)
{
  uint32_t mechanism = credentials->mechanism;
  if ((mechanism != EHLO_SASL_XOAUTH2 && span_is_lie(credentials->authzid)) ||
      (mechanism == EHLO_SASL_OAUTHBEARER && (span_is_lie(credentials->host) || credentials->port > UINT16_MAX))) {
    return 0;
  }
  return (!needs_authcid(mechanism) || (credentials->authcid.len > 0 && credentials->authcid.ptr != NULL)) &&
         (mechanism == EHLO_SASL_EXTERNAL || (credentials->secret.len > 0 && credentials->secret.ptr != NULL));
}

static int fields_are_legal(const ehlo_credentials *credentials)
{
  switch (credentials->mechanism) {
  case EHLO_SASL_PLAIN:
    return is_safe(credentials->authzid) && is_safe(credentials->authcid) && is_safe(credentials->secret);
  case EHLO_SASL_EXTERNAL: return is_safe(credentials->authzid);
  case EHLO_SASL_XOAUTH2: return is_clean(credentials->authcid) && is_token(credentials->secret);
  default:
    return (credentials->authzid.len == 0 || is_saslname(credentials->authzid)) && is_visible(credentials->host) &&
           is_token(credentials->secret);
  }
}

static void write_bearer(struct writer *writer, ehlo_span token)
{
  write_string(writer, "auth=Bearer ");
  write_span(writer, token);
  write_string(writer, "\1\1");
}

static void write_oauthbearer(struct writer *writer, const ehlo_credentials *credentials)
{
  write_string(writer, credentials->authzid.len > 0 ? "n,a=" : "n,");
  write_span(writer, credentials->authzid);
  write_string(writer, ",\1");
  if (credentials->host.len > 0) {
    write_string(writer, "host=");
    write_span(writer, credentials->host);
    write_octet(writer, KVSEP);
  }
  if (credentials->port > 0) {
    write_string(writer, "port=");
    write_number(writer, credentials->port, 1);
    write_octet(writer, KVSEP);
  }
  write_bearer(writer, credentials->secret);
}

static void write_message(struct writer *writer, const ehlo_credentials *credentials)
{
  switch (credentials->mechanism) {
  case EHLO_SASL_PLAIN:
    write_span(writer, credentials->authzid);
    write_octet(writer, '\0');
    write_span(writer, credentials->authcid);
    write_octet(writer, '\0');
    write_span(writer, credentials->secret);
    break;
  case EHLO_SASL_EXTERNAL: write_span(writer, credentials->authzid); break;
  case EHLO_SASL_XOAUTH2:
    write_string(writer, "user=");
    write_span(writer, credentials->authcid);
    write_octet(writer, KVSEP);
    write_bearer(writer, credentials->secret);
    break;
  default: write_oauthbearer(writer, credentials); break;
  }
}

int ehlo_sasl_encode(const ehlo_credentials *credentials, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (credentials == NULL || buffer == NULL || credentials->struct_size < sizeof *credentials ||
      !is_one_message(credentials->mechanism)) {
    return EHLO_ERR_ARGUMENT;
  }
  if (!fields_are_there(credentials)) {
    return EHLO_ERR_ARGUMENT;
  }
  if (!fields_are_legal(credentials)) {
    return EHLO_ERR_TEXT;
  }
  struct writer writer = writer_on(buffer, size);
  write_message(&writer, credentials);
  return writer_end(&writer, length);
}
