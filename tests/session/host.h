/* host.h: a small host for tests that call the server by themselves. */
#ifndef EHLO_TESTS_HOST_H
#define EHLO_TESTS_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ehlo.h"

enum { EVENT_KINDS = EHLO_EVENT_XFORWARD + 1, HOST_OUTPUT = 1 << 16 };

#define EVENT_BIT(event) (1U << (event))

struct host {
  ehlo_server *server;
  char *memory; /* the block, with a margin behind it */
  size_t size;

  uint32_t defer;   /* EVENT_BIT of what is deferred, with the event's number as tag */
  uint32_t silent;  /* EVENT_BIT of what is not answered */
  int result;       /* what the handler returns for anything that asks */
  uint32_t fail_at; /* EVENT_BIT of what the handler returns EHLO_FAIL_TRANSACTION for */
  uint32_t fail;    /* EVENT_BIT of what `failure` is returned for, unanswered */
  int failure;
  void (*in_handler)(struct host *, const ehlo_event *);

  unsigned count[EVENT_KINDS];   /* events so far, by kind */
  uint32_t ticket[EVENT_KINDS];  /* the last ticket of each kind */
  uint32_t tickets[EVENT_KINDS]; /* the first of them */
  ehlo_event_end end;            /* the last ones */
  ehlo_event_reply reply;
  ehlo_event_cancel cancel;
  ehlo_event_violation violation;
  unsigned accepted; /* messages that the host accepted */
  uint64_t content;  /* octets of BODY */

  char output[HOST_OUTPUT]; /* drained and not yet looked at */
  size_t output_size;
};

/* A config with the defaults and a host name. */
ehlo_server_config host_config(void);

/* Makes a session, not started. NULL stands for host_config(). */
void host_open(struct host *host, const ehlo_server_config *config);
void host_close(struct host *host);

/* Makes a session and brings it behind these lines, each ended by CRLF; "" is behind the greeting. All must be
 * accepted. */
void host_begin(struct host *host, const ehlo_server_config *config, const char *lines);

/* Feeds octets, once. Returns how many were consumed. */
size_t host_feed(struct host *host, const void *octets, size_t size);

/* Feeds a string, all of which must be taken. */
void host_say(struct host *host, const char *string);

/* Drains everything to host->output. */
void host_drain(struct host *host);

/* Drains, feeds with nothing while FEED is wanted, and holds what came since last time to `replies`. */
void host_expect_at(struct host *host, const char *replies, const char *file, int line);
#define host_expect(host, replies) host_expect_at((host), (replies), __FILE__, __LINE__)

uint32_t host_want(const struct host *host);

#endif
