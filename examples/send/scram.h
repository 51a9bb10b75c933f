/* scram.h: what a client says in SCRAM (RFC 5802, RFC 7677), without channel binding.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SEND_SCRAM_H
#define SEND_SCRAM_H

#include "../digest.h"

enum {
  SCRAM_FIRST = 1024,              /* octets of the client's first message */
  SCRAM_MESSAGE = 12288,           /* of its second; the server's nonce is in it */
  SCRAM_NONCE = 32,                /* of its nonce: 24 random ones in base64 */
  SCRAM_LEAST = 4096,              /* iterations: RFC 7677 4 asks for so many; fewer help whoever guesses passwords */
  SCRAM_MOST_ITERATIONS = 10000000 /* some seconds of work: no server is to keep this host busy for longer */
};

struct scram {
  enum digest digest;
  char first[SCRAM_FIRST]; /* client-first-message: "n,," and client-first-message-bare */
  size_t length;
  uint8_t signature[DIGEST_MOST]; /* what the server has to show */
};

/* In the order of the exchange. Each returns NULL, or why it cannot go on: then whoever is there does not know the
 * password, or this host cannot tell. Names and passwords beyond ASCII go as they are: there is no SASLprep here. */

/* Makes scram->first. */
const char *scram_begin(struct scram *scram, enum digest digest, ehlo_span user);

/* Reads the server's first message, makes the client's second, *length octets of it in `message`, SCRAM_MESSAGE. */
const char *scram_prove(struct scram *scram, ehlo_span challenge, ehlo_span password, char *message, size_t *length);

/* Reads the server's second message. NULL: it knows the password, too. */
const char *scram_check(const struct scram *scram, ehlo_span challenge);

#endif
