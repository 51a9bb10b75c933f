/* next_hop.c: see next_hop.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "next_hop.h"

#include "../address.h"
#include "../digest.h"
#include "settings.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
  CONNECT_TIME = 30, /* seconds for each address, and for TLS */
  READ_SIZE = 65536,
  LOGIN_MOST = 514, /* octets of name and password, with a NUL before each */
  OUTPUT = 65536,
  CONNECTING = 0,
  SHAKING = 1,
  TALKING = 2
};

static struct addresses addresses;
static tls_context *context;
static char *login; /* "NAME:PASSWORD", or NULL */

/* ---- where it is, and who we are there --------------------------------------------------------------------------- */

static void forget(char *text)
{
  if (text != NULL)
    wipe(text, strlen(text));
  free(text);
}

static ehlo_credentials credentials_of(const char *text)
{
  const char *colon = strchr(text, ':');
  return (ehlo_credentials){.struct_size = sizeof(ehlo_credentials),
                            .mechanism = EHLO_SASL_PLAIN,
                            .authcid = {text, (size_t)(colon - text)},
                            .secret = ehlo_span_of(colon + 1)};
}

/* Can it be said, and in one line? */
static int is_login(const char *text)
{
  char message[LOGIN_MOST];
  size_t length;
  if (strchr(text, ':') == NULL)
    return 0;
  ehlo_credentials credentials = credentials_of(text);
  int good = ehlo_sasl_encode(&credentials, message, sizeof message, &length) == EHLO_OK;
  wipe(message, sizeof message);
  return good;
}

/* The first line of the file. Returns 0, or -1 once it has been said what is wrong, with what was there before kept. */
static int read_login(void)
{
  const char *name = settings.relay_login;
  char *line = NULL;
  size_t room = 0;
  FILE *file = fopen(name, "re");
  if (file == NULL) {
    complain_of_file("--relay-login", name, 0, strerror(errno));
    return -1;
  }
  setvbuf(file, NULL, _IONBF, 0); /* what it held could not be wiped */
  ssize_t size = getline(&line, &room, file);
  fclose(file);
  int whole = size > 0 && memchr(line, '\0', (size_t)size) == NULL;
  if (whole)
    line[strcspn(line, "\r\n")] = '\0';
  if (!whole || !is_login(line)) {
    complain_of_file("--relay-login", name, 1, "NAME:PASSWORD is needed, in UTF-8, of at most 512 octets");
    if (size > 0)
      wipe(line, (size_t)size);
    free(line);
    return -1;
  }
  forget(login);
  login = line;
  return 0;
}

void next_hop_look_up(const char *where)
{
  struct tls_client_options options = {.take_any = !settings.relay_tls_required};
  addresses_find(&addresses, "--relay-to", where, 0);
  if (tls_is_there() && (context = tls_client_context(&options)) == NULL)
    bad_system("--relay-to", tls_error());
  if (settings.relay_login != NULL && read_login() != 0)
    exit(EX_CONFIG);
}

void next_hop_look_up_again(void)
{
  struct addresses fresh;
  const char *why;
  if (addresses_look_up(&fresh, addresses.text, 0, &why) == 0)
    addresses = fresh;
  else
    complain("--relay-to: the addresses from before are used on", why);
  if (settings.relay_login != NULL)
    read_login();
}

void next_hop_forget(void)
{
  tls_context_free(context);
  forget(login);
}

const char *next_hop_name(void)
{
  return addresses.text;
}

/* ---- the connection ---------------------------------------------------------------------------------------------- */

static void watch(struct next_hop *hop, short wants)
{
  short events = hop->phase == CONNECTING ? POLLOUT : stream_events(&hop->stream, wants);
  loop_want(&hop->source, (events & POLLIN ? LOOP_IN : 0U) | (events & POLLOUT ? LOOP_OUT : 0U));
}

static void hang_up(struct next_hop *hop)
{
  if (!hop->open)
    return;
  loop_forget(&hop->source);
  stream_close(&hop->stream);
  hop->open = 0;
}

static void drive(struct next_hop *hop);

static void give_up(struct next_hop *hop, const char *why)
{
  hop->why = why;
  ehlo_client_eof(hop->client);
  hop->over(hop);
}

static void try_address(struct next_hop *hop)
{
  hang_up(hop);
  while (hop->try_next < addresses.count) {
    hop->source.fd = address_connect(&addresses.list[hop->try_next++]);
    if (hop->source.fd < 0)
      continue;
    if (loop_watch(&hop->source, LOOP_OUT) == 0) {
      stream_open(&hop->stream, hop->source.fd);
      hop->open = 1;
      hop->phase = CONNECTING;
      timer_set(&hop->timer, loop_now() + CONNECT_TIME * 1000);
      return;
    }
    close(hop->source.fd);
  }
  give_up(hop, "it cannot be reached");
}

static void on_connect(struct next_hop *hop)
{
  if (address_connected(hop->source.fd) != 0) {
    try_address(hop);
    return;
  }
  hop->phase = TALKING;
  drive(hop);
}

static void shake_hands(struct next_hop *hop)
{
  int result = stream_handshake(&hop->stream);
  if (result == STREAM_WAIT) {
    watch(hop, POLLIN);
  } else if (result != 0) {
    give_up(hop, tls_error());
  } else {
    hop->phase = TALKING;
    ehlo_client_tls_done(hop->client);
    ehlo_client_hello(hop->client, 0);
    drive(hop);
  }
}

static void begin_tls(struct next_hop *hop)
{
  hop->phase = SHAKING;
  timer_set(&hop->timer, loop_now() + CONNECT_TIME * 1000);
  if (stream_start_client(&hop->stream, context, addresses.name) != 0)
    give_up(hop, tls_error());
  else
    shake_hands(hop);
}

int next_hop_secures(struct next_hop *hop)
{
  if (ehlo_client_tls(hop->client) || context == NULL || !ehlo_client_offers(hop->client, EHLO_EXT_STARTTLS))
    return 0;
  return ehlo_client_starttls(hop->client, 0) == EHLO_OK;
}

int next_hop_logs_in(struct next_hop *hop)
{
  if (login == NULL)
    return 0;
  ehlo_credentials credentials = credentials_of(login);
  if ((ehlo_client_mechanisms(hop->client) >> EHLO_SASL_PLAIN & 1) == 0)
    credentials.mechanism = EHLO_SASL_LOGIN;
  int error = ehlo_client_auth(hop->client, &credentials, 0);
  if (error != EHLO_OK)
    fprintf(stderr, "%s: relay %s: cannot log in: %s\n", program, addresses.text, ehlo_strerror(error));
  return error == EHLO_OK ? 1 : -1;
}

/* ---- octets ------------------------------------------------------------------------------------------------------ */

static void write_some(struct next_hop *hop)
{
  size_t size;
  const void *octets = ehlo_client_output(hop->client, &size);
  ssize_t written = stream_write(&hop->stream, octets, size);
  if (written >= 0)
    ehlo_client_sent(hop->client, (size_t)written);
  else if (written == STREAM_WAIT)
    hop->blocked = 1;
  else
    ehlo_client_eof(hop->client);
}

static void read_some(struct next_hop *hop)
{
  static char buffer[READ_SIZE];
  size_t used;
  ssize_t size = stream_read(&hop->stream, buffer, sizeof buffer);
  if (size > 0)
    ehlo_client_feed(hop->client, buffer, (size_t)size, &used);
  else if (size != STREAM_WAIT)
    ehlo_client_eof(hop->client);
}

static void keep_time(struct next_hop *hop)
{
  uint64_t epoch;
  uint32_t seconds = ehlo_client_timeout(hop->client, &epoch);
  if (epoch == hop->epoch && hop->timer.place != 0)
    return;
  hop->epoch = epoch;
  if (hop->most != 0 && seconds > hop->most)
    seconds = hop->most;
  if (seconds == 0)
    timer_stop(&hop->timer);
  else
    timer_set(&hop->timer, loop_now() + (int64_t)seconds * 1000);
}

static void drive(struct next_hop *hop)
{
  if (hop->phase != TALKING)
    return;
  for (;;) {
    uint32_t want = ehlo_client_want(hop->client);
    if (want & EHLO_WANT_CLOSE) {
      hop->over(hop);
      return;
    }
    if ((want & EHLO_WANT_WRITE) && !hop->blocked) {
      write_some(hop);
    } else if ((want & (EHLO_WANT_TLS | EHLO_WANT_WRITE)) == EHLO_WANT_TLS) {
      begin_tls(hop);
      return;
    } else if (want & EHLO_WANT_FEED) {
      size_t used;
      ehlo_client_feed(hop->client, NULL, 0, &used);
    } else {
      size_t before, after;
      ehlo_client_output(hop->client, &before);
      hop->advance(hop);
      ehlo_client_output(hop->client, &after);
      if (after > before && !hop->blocked)
        continue;
      if ((ehlo_client_want(hop->client) & (EHLO_WANT_CLOSE | EHLO_WANT_FEED)) != 0)
        continue;
      watch(hop, (short)(POLLIN | (hop->blocked ? POLLOUT : 0)));
      keep_time(hop);
      hop->rest(hop);
      return;
    }
  }
}

/* ---- what happens ------------------------------------------------------------------------------------------------ */

static void on_ready(struct source *source, unsigned events)
{
  struct next_hop *hop = (struct next_hop *)(void *)((char *)source - offsetof(struct next_hop, source));
  if (hop->phase == CONNECTING) {
    on_connect(hop);
    return;
  }
  if (hop->phase == SHAKING) {
    shake_hands(hop);
    return;
  }
  short can =
      events & LOOP_GONE
          ? POLLIN | POLLOUT
          : stream_ready(&hop->stream, (short)((events & LOOP_IN ? POLLIN : 0) | (events & LOOP_OUT ? POLLOUT : 0)));
  if (can & POLLOUT)
    hop->blocked = 0;
  if (can & POLLIN)
    read_some(hop);
  drive(hop);
}

static void on_time(struct timer *timer)
{
  struct next_hop *hop = (struct next_hop *)(void *)((char *)timer - offsetof(struct next_hop, timer));
  if (hop->phase == CONNECTING) {
    try_address(hop);
  } else if (hop->phase == SHAKING) {
    give_up(hop, "it shakes no hands");
  } else {
    hop->why = "it is silent for too long";
    ehlo_client_timed_out(hop->client);
    drive(hop);
  }
}

static void on_kick(struct timer *timer)
{
  struct next_hop *hop = (struct next_hop *)(void *)((char *)timer - offsetof(struct next_hop, kick));
  if (!hop->open && hop->try_next == 0)
    try_address(hop);
  else
    drive(hop);
}

void next_hop_wake(struct next_hop *hop)
{
  timer_set(&hop->kick, loop_now());
}

int next_hop_begin(struct next_hop *hop, ehlo_client_event_fn *on_event, void *user)
{
  ehlo_client_config config;
  ehlo_client_config_init(&config, sizeof config);
  config.hostname = settings.config[KIND_SUBMISSION].hostname;
  config.output_size = OUTPUT;
  config.use[EHLO_EXT_AUTH] = login != NULL;
  config.hold_data = 1;
  size_t size = ehlo_client_size(&config);
  hop->block = malloc(size);
  if (hop->block == NULL)
    return -1;
  ehlo_client_init(&hop->client, hop->block, size, &config, on_event, user);
  ehlo_client_hello(hop->client, 0);
  hop->source.ready = on_ready;
  hop->timer.fire = on_time;
  hop->kick.fire = on_kick;
  next_hop_wake(hop);
  return 0;
}

void next_hop_end(struct next_hop *hop)
{
  hang_up(hop);
  timer_stop(&hop->timer);
  timer_stop(&hop->kick);
  free(hop->block);
}
