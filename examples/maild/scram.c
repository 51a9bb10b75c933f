/* scram.c: see scram.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "scram.h"

#include <stdio.h>
#include <string.h>

enum { NONCE = 18 /* octets of ours */ };

/* Cuts "X=value" off the front, up to a comma or the end. Returns 0 or -1. */
static int next_value(ehlo_span *rest, char letter, ehlo_span *value)
{
  if (rest->len < 2 || rest->ptr[0] != letter || rest->ptr[1] != '=')
    return -1;
  const char *comma = memchr(rest->ptr, ',', rest->len);
  size_t length = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);
  *value = (ehlo_span){rest->ptr + 2, length - 2};
  length += comma != NULL;
  rest->ptr += length;
  rest->len -= length;
  return 0;
}

/* "=2C" is a comma in a name, "=3D" an equals sign, and nothing else begins with one. Returns 0 or -1. */
static int read_name(ehlo_span spelt, char name[PASSWORD_NAME + 1])
{
  size_t used = 0;
  for (size_t i = 0; i < spelt.len; i++) {
    char octet = spelt.ptr[i];
    if (octet == '=') {
      if (spelt.len - i < 3 || (memcmp(spelt.ptr + i, "=2C", 3) != 0 && memcmp(spelt.ptr + i, "=3D", 3) != 0))
        return -1;
      octet = spelt.ptr[i + 1] == '2' ? ',' : '=';
      i += 2;
    }
    if (octet == '\0' || used == PASSWORD_NAME)
      return -1;
    name[used++] = octet;
  }
  name[used] = '\0';
  return used > 0 && ehlo_utf8_valid((ehlo_span){name, used}) == used ? 0 : -1;
}

static int is_printable(ehlo_span text)
{
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '!' || text.ptr[i] > '~' || text.ptr[i] == ',')
      return 0;
  }
  return 1;
}

static size_t put_base64(char *out, const void *octets, size_t size)
{
  size_t length = 0;
  ehlo_base64_encode((ehlo_span){octets, size}, out, SCRAM_TEXT / 4, &length);
  return length;
}

/* No channel binding ("n", or "y" from who would have it), and nobody else to act as. */
static int read_header(struct scram *scram, ehlo_span *message)
{
  if (message->len < 3 || (message->ptr[0] != 'n' && message->ptr[0] != 'y') || message->ptr[1] != ',' ||
      message->ptr[2] != ',')
    return -1;
  memcpy(scram->header, message->ptr, 3);
  message->ptr += 3;
  message->len -= 3;
  return 0;
}

size_t scram_first(struct scram *scram, ehlo_span message, char out[SCRAM_TEXT])
{
  ehlo_span spelt, nonce;
  uint8_t random[NONCE];
  char ours[NONCE * 2];
  if (read_header(scram, &message) != 0)
    return 0;
  ehlo_span bare = message;
  if (next_value(&message, 'n', &spelt) != 0 || next_value(&message, 'r', &nonce) != 0 || bare.len > SCRAM_TEXT / 2 ||
      read_name(spelt, scram->name) != 0 || nonce.len == 0 || nonce.len > 128 || !is_printable(nonce) ||
      !random_octets(random, sizeof random))
    return 0;
  size_t length = put_base64(ours, random, sizeof random);
  snprintf(scram->nonce, sizeof scram->nonce, "%.*s%.*s", (int)nonce.len, nonce.ptr, (int)length, ours);
  scram->password = passwords_find(ehlo_span_of(scram->name));
  size_t used = (size_t)sprintf(out, "r=%s,s=", scram->nonce);
  used += put_base64(out + used, scram->password.salt, scram->password.salt_size);
  used += (size_t)sprintf(out + used, ",i=%u", scram->password.iterations);
  scram->length = (size_t)snprintf(scram->text, SCRAM_TEXT, "%.*s,%s,", (int)bare.len, bare.ptr, out);
  return scram->length < SCRAM_TEXT ? used : 0;
}

/* ClientProof is ClientKey XOR a signature that the stored key gives; StoredKey is the digest of ClientKey. */
static int is_proved(struct scram *scram, ehlo_span proof)
{
  uint8_t signature[DIGEST_MOST], client_key[DIGEST_MOST], stored_key[DIGEST_MOST];
  char decoded[64];
  size_t length;
  if (ehlo_base64_decode(proof, decoded, sizeof decoded, &length) != EHLO_OK || length != DIGEST_MOST ||
      !password_hmac(scram->password.stored_key, scram->text, scram->length, signature))
    return 0;
  for (size_t i = 0; i < DIGEST_MOST; i++)
    client_key[i] = (uint8_t)(signature[i] ^ (uint8_t)decoded[i]);
  int right = digest_of(DIGEST_SHA_256, (ehlo_span){(const char *)client_key, DIGEST_MOST}, stored_key) &&
              digest_equal(stored_key, scram->password.stored_key, DIGEST_MOST);
  wipe(client_key, sizeof client_key);
  return right;
}

size_t scram_last(struct scram *scram, ehlo_span message, char out[SCRAM_TEXT])
{
  ehlo_span rest = message, binding, nonce, proof;
  uint8_t signature[DIGEST_MOST];
  char header[16] = "";
  put_base64(header, scram->header, 3);
  if (next_value(&rest, 'c', &binding) != 0 || next_value(&rest, 'r', &nonce) != 0)
    return 0;
  /* Extensions may stand between nonce and proof; none is mandatory that we know. */
  const char *comma = memrchr(message.ptr, ',', message.len);
  size_t before = (size_t)(comma - message.ptr);
  ehlo_span last = {comma + 1, message.len - before - 1};
  if (next_value(&last, 'p', &proof) != 0 || !ehlo_span_equal_nocase(binding, ehlo_span_of(header)) ||
      memcmp(binding.ptr, header, binding.len) != 0 || nonce.len != strlen(scram->nonce) ||
      memcmp(nonce.ptr, scram->nonce, nonce.len) != 0 || scram->length + before >= SCRAM_TEXT)
    return 0;
  memcpy(scram->text + scram->length, message.ptr, before);
  scram->length += before;
  if (!is_proved(scram, proof) || !password_hmac(scram->password.server_key, scram->text, scram->length, signature))
    return 0;
  memcpy(out, "v=", 2);
  return 2 + put_base64(out + 2, signature, DIGEST_MOST);
}
