/* scram.c: see scram.h.
 *
 * SPDX-License-Identifier: MIT
 *
 *     client-first-message  = "n,," client-first-message-bare
 *     client-first-message-bare = "n=" saslname ",r=" c-nonce
 *     server-first-message  = "r=" c-nonce s-nonce ",s=" base64 ",i=" posit-number ["," extensions]
 *     client-final-message  = "c=biws,r=" c-nonce s-nonce ",p=" base64
 *     server-final-message  = "e=" server-error-value / "v=" base64 ["," extensions]
 *
 * RFC 5802 7. "biws" is "n,," in base64. */
#include "scram.h"

#include <stdio.h>
#include <string.h>

enum { GS2_HEADER = 3 };

static const char no_server_first[] = "the server's first message is not one of SCRAM";
static const char no_digest[] = "the digest cannot be computed on this system";

/* Commas separate, so names spell them otherwise: RFC 5802 5.1. */
static int append_name(struct scram *scram, ehlo_span user)
{
  for (size_t i = 0; i < user.len; i++) {
    unsigned char octet = (unsigned char)user.ptr[i];
    if (octet < ' ' || octet == 0x7F || scram->length + 4 + SCRAM_NONCE + 4 > SCRAM_FIRST)
      return 0;
    if (octet == ',' || octet == '=') {
      memcpy(scram->first + scram->length, octet == ',' ? "=2C" : "=3D", 3);
      scram->length += 3;
    } else {
      scram->first[scram->length++] = (char)octet;
    }
  }
  return user.len > 0;
}

static void append(struct scram *scram, const char *octets)
{
  size_t length = strlen(octets);
  memcpy(scram->first + scram->length, octets, length);
  scram->length += length;
}

const char *scram_begin(struct scram *scram, enum digest digest, ehlo_span user)
{
  uint8_t random[SCRAM_NONCE / 4 * 3];
  size_t length;
  *scram = (struct scram){.digest = digest};
  if (!random_octets(random, sizeof random))
    return "there is no randomness to be had";
  append(scram, "n,,n=");
  if (!append_name(scram, user))
    return "the user's name is too long, or has control characters";
  append(scram, ",r=");
  ehlo_base64_encode((ehlo_span){(const char *)random, sizeof random}, scram->first + scram->length,
                     SCRAM_FIRST - scram->length, &length);
  scram->length += length;
  return NULL;
}

/* Takes "X=value" from the front, and the comma behind it. */
static int attribute(ehlo_span *rest, char name, ehlo_span *value)
{
  if (rest->len < 2 || rest->ptr[0] != name || rest->ptr[1] != '=')
    return 0;
  const char *comma = memchr(rest->ptr, ',', rest->len);
  size_t length = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);
  *value = (ehlo_span){rest->ptr + 2, length - 2};
  size_t used = comma == NULL ? length : length + 1;
  rest->ptr += used;
  rest->len -= used;
  return value->len > 0;
}

/* ClientKey, StoredKey, ClientProof, ServerSignature: RFC 5802 3. */
static int compute(struct scram *scram, ehlo_span password, ehlo_span salt, uint32_t iterations,
                   const ehlo_span *auth_message, uint8_t *proof)
{
  uint8_t salted[DIGEST_MOST], client_key[DIGEST_MOST], stored_key[DIGEST_MOST], server_key[DIGEST_MOST];
  size_t size = digest_size(scram->digest);
  ehlo_span key = {(const char *)salted, size};
  ehlo_span client = {"Client Key", 10}, server = {"Server Key", 10};
  int good = digest_stretch(scram->digest, password, salt, iterations, salted) &&
             digest_hmac(scram->digest, key, &client, 1, client_key) &&
             digest_of(scram->digest, (ehlo_span){(const char *)client_key, size}, stored_key) &&
             digest_hmac(scram->digest, (ehlo_span){(const char *)stored_key, size}, auth_message, 5, proof) &&
             digest_hmac(scram->digest, key, &server, 1, server_key) &&
             digest_hmac(scram->digest, (ehlo_span){(const char *)server_key, size}, auth_message, 5, scram->signature);
  for (size_t i = 0; i < size && good; i++)
    proof[i] ^= client_key[i];
  wipe(salted, sizeof salted);
  wipe(client_key, sizeof client_key);
  wipe(stored_key, sizeof stored_key);
  wipe(server_key, sizeof server_key);
  return good;
}

const char *scram_prove(struct scram *scram, ehlo_span challenge, ehlo_span password, char *message, size_t *length)
{
  ehlo_span nonce, encoded, number, rest = challenge;
  static char salt[SCRAM_MESSAGE];
  uint8_t proof[DIGEST_MOST];
  size_t salt_length, count;
  uint64_t iterations;
  if (!attribute(&rest, 'r', &nonce) || !attribute(&rest, 's', &encoded) || !attribute(&rest, 'i', &number) ||
      ehlo_base64_decode(encoded, salt, sizeof salt, &salt_length) != EHLO_OK || salt_length == 0 ||
      ehlo_parse_number(number, 10, &iterations) != EHLO_OK)
    return no_server_first;
  const char *own = scram->first + scram->length - SCRAM_NONCE;
  if (nonce.len <= SCRAM_NONCE || memcmp(nonce.ptr, own, SCRAM_NONCE) != 0)
    return "the server's answer is to somebody else: its nonce does not begin with ours";
  if (iterations < SCRAM_LEAST)
    return "the server asks for fewer than 4096 iterations, by which a password is easily guessed";
  if (iterations > SCRAM_MOST_ITERATIONS)
    return "the server asks for more iterations than anybody needs";
  int written = snprintf(message, SCRAM_MESSAGE, "c=biws,r=%.*s", (int)nonce.len, nonce.ptr);
  if (written < 0 || (size_t)written + 3 + 4 * DIGEST_MOST > SCRAM_MESSAGE)
    return no_server_first;
  *length = (size_t)written;
  ehlo_span comma = {",", 1};
  const ehlo_span auth_message[] = {
      {scram->first + GS2_HEADER, scram->length - GS2_HEADER}, comma, challenge, comma, {message, *length}};
  if (!compute(scram, password, (ehlo_span){salt, salt_length}, (uint32_t)iterations, auth_message, proof))
    return no_digest;
  memcpy(message + *length, ",p=", 3);
  *length += 3;
  ehlo_base64_encode((ehlo_span){(const char *)proof, digest_size(scram->digest)}, message + *length,
                     SCRAM_MESSAGE - *length, &count);
  *length += count;
  return NULL;
}

const char *scram_check(const struct scram *scram, ehlo_span challenge)
{
  ehlo_span encoded;
  char signature[DIGEST_MOST + 3];
  size_t length;
  size_t size = digest_size(scram->digest);
  if (attribute(&challenge, 'v', &encoded) &&
      ehlo_base64_decode(encoded, signature, sizeof signature, &length) == EHLO_OK && length == size &&
      digest_equal(signature, scram->signature, size))
    return NULL;
  return "the server did not show that it knows the password";
}
