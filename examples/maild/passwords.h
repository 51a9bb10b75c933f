/* passwords.h: a file of users and what their passwords come to, which is not enough to log in by.
 *
 * SPDX-License-Identifier: MIT
 *
 * A line for each user, as `maild --hash-password NAME` prints it; empty ones, and those that begin with "#", are left
 * out:
 *
 *     NAME:SCRAM-SHA-256$ITERATIONS:SALT$STORED-KEY:SERVER-KEY          RFC 5803, the last three in base64
 *
 * It serves PLAIN and LOGIN too: from a password that is told the stored key can be computed, and compared. That takes
 * a while, on purpose, and so a process of its own does it.
 */
#ifndef MAILD_PASSWORDS_H
#define MAILD_PASSWORDS_H

#include "../digest.h"
#include "helper.h"

#include <ehlo.h>

enum { PASSWORD_SALT = 2 * DIGEST_MOST, /* octets, at most */ PASSWORD_NAME = EHLO_IDENTITY_SIZE };

struct password {
  uint8_t salt[PASSWORD_SALT];
  size_t salt_size;
  uint32_t iterations;
  uint8_t stored_key[DIGEST_MOST];
  uint8_t server_key[DIGEST_MOST];
};

/* HMAC-SHA-256. Returns 1 or 0. */
int password_hmac(const uint8_t key[DIGEST_MOST], const void *octets, size_t size, uint8_t out[DIGEST_MOST]);

/* Reads the file and starts the process. Ends this one if the file cannot be read, or is not as it should be. */
void passwords_open(const char *file);

/* Reads it again. If that fails, the log says why, and what was there stays. */
void passwords_reload(void);
void passwords_close(void);

/* The password of this user. For a name that nobody has it is one that no password fits; it costs as much, and looks
 * the same each time on this machine, so nobody learns in this way which names there are. */
struct password passwords_find(ehlo_span name);

/* Asks whether this is the user's password: the answer is "1" or "0" (NULL: nobody knows). Returns the question, or 0
 * if nothing can be asked now. */
uint64_t passwords_ask(ehlo_span name, ehlo_span secret, helper_answer_fn *done, void *owner, uint32_t ticket);

/* --hash-password: reads a password from standard input, which does not show it, and prints the line for it. Returns an
 * exit code. */
int passwords_hash(const char *name);

#endif
