/* scram.h: the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): octets in, octets out.
 *
 * SPDX-License-Identifier: MIT
 *
 *     client    n,,n=user,r=NONCE
 *     server    r=NONCE and more of it,s=SALT,i=ITERATIONS
 *     client    c=biws,r=THE SAME NONCE,p=PROOF
 *     server    v=SIGNATURE
 *
 * The client proves that it knows the password, the server that it knows the hash, and who listens learns neither.
 */
#ifndef MAILD_SCRAM_H
#define MAILD_SCRAM_H

#include "passwords.h"

enum { SCRAM_TEXT = 1536 };

struct scram {
  struct password password;
  char name[PASSWORD_NAME + 1];
  char header[8];        /* "n,,": what the client says of channel binding, which it repeats */
  char text[SCRAM_TEXT]; /* what both sign: the first message of each, with a comma behind it */
  size_t length;
  char nonce[256];
};

/* Takes the client's first message, and writes the server's into `out`. Returns its length, or 0 if the message is none
 * that can be answered. */
size_t scram_first(struct scram *scram, ehlo_span message, char out[SCRAM_TEXT]);

/* The same for the last ones; 0 also if the proof is wrong. */
size_t scram_last(struct scram *scram, ehlo_span message, char out[SCRAM_TEXT]);

#endif
