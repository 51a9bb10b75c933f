/* test_server_offer.c: what a config may say of its extensions, its own words and its texts, and what becomes of it in
 * the EHLO answer; by what is published. The transcripts show what each extension does.
 */
#include "configs.h"
#include "host.h"
#include "margin.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 384, KEYWORDS_MAX = 8 * TEXT_MAX, OWN_LINES = 100 };

#define EHLO_LINE "EHLO client.example.com\r\n"

static int deaf(ehlo_server *server, const ehlo_event *event, void *user)
{
  (void)server;
  (void)event;
  (void)user;
  return EHLO_HANDLED;
}

/* Is the config legal, by ehlo_server_size and by ehlo_server_init? */
static int is_legal(const void *config)
{
  static _Alignas(max_align_t) char memory[1 << 22];
  ehlo_server *server = (ehlo_server *)(void *)memory;
  size_t size = ehlo_server_size(config);
  int result = ehlo_server_init(&server, memory, sizeof memory, config, deaf, NULL);
  assert_int_equal(result, size == 0 ? EHLO_ERR_CONFIG : EHLO_OK);
  assert_ptr_equal(server, size == 0 ? NULL : (void *)memory);
  return size != 0;
}

/* A config that offers these and nothing else. */
static ehlo_server_config offering(const uint32_t *extensions, size_t count)
{
  ehlo_server_config config = host_config();
  memset(config.offer, 0, sizeof config.offer);
  for (size_t i = 0; i < count; i++) {
    config.offer[extensions[i]] = 1;
  }
  return config;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------
 */

static void nothing_is_told_by_default(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  assert_int_equal(config.mechanisms | config.max_transactions | config.max_rcpt_domains | config.deliver_by_min |
                       config.hold_max,
                   0);
  assert_true(config.hold_max_time == 0);
  assert_int_equal(config.other_mechanisms.len | config.priority_policy.len | config.solicit.len | config.burl.len |
                       config.xclient.len | config.xforward.len | config.own_keywords.len | config.own_verbs.len |
                       config.own_mail_parameters.len | config.own_rcpt_parameters.len,
                   0);
  assert_int_equal(config.submission | config.require_tls | config.allow_plaintext_auth, 0);
  assert_true(is_legal(&config));
}

static void numbers_keep_to_their_limits(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  const struct config_limit limits[] = {{&config.max_transactions, 0, UINT32_MAX},
                                        {&config.max_rcpt_domains, 0, UINT32_MAX},
                                        {&config.deliver_by_min, 0, 999999999},
                                        {&config.hold_max, 0, UINT32_MAX}};
  check_config_limits(limits, sizeof limits / sizeof limits[0], is_legal, &config);
  config.hold_max_time = INT64_MAX; /* as long as it is not told */
  assert_true(is_legal(&config));
}

/* RFC 4865 3: on a submission server alone, with both maxima. [S-FREL-02] [P-FREL-01] */
static void future_release_needs_its_maxima(void **state)
{
  (void)state;
  static const uint32_t future[] = {EHLO_EXT_FUTURERELEASE};
  ehlo_server_config config = offering(future, 1);
  config.hold_max = 1;
  assert_false(is_legal(&config));
  config.submission = 1;
  assert_true(is_legal(&config));
  const struct config_limit limits[] = {{&config.hold_max, 1, 999999999}};
  check_config_limits(limits, 1, is_legal, &config);
  static const int64_t ends[] = {-62135596800, 253402300799}; /* of years 1 to 9999 */
  for (size_t i = 0; i < 2; i++) {
    config.hold_max_time = ends[i];
    assert_true(is_legal(&config));
    config.hold_max_time = ends[i] + (i == 0 ? -1 : 1);
    assert_false(is_legal(&config));
  }
  config.hold_max_time = INT64_MIN;
  assert_false(is_legal(&config));
  config.hold_max_time = INT64_MAX;
  assert_false(is_legal(&config));
}

/* RFC 4468 3.1, RFC 6409 7. */
static void some_go_with_submission_and_some_do_not(void **state)
{
  (void)state;
  static const uint32_t burl[] = {EHLO_EXT_BURL, EHLO_EXT_PIPELINING, EHLO_EXT_ENHANCEDSTATUSCODES};
  ehlo_server_config config = offering(burl, 3);
  assert_false(is_legal(&config));
  config.submission = 1;
  config.protocol = EHLO_PROTOCOL_LMTP;
  assert_false(is_legal(&config));
  static const uint32_t queues[] = {EHLO_EXT_ETRN, EHLO_EXT_ATRN};
  for (size_t i = 0; i < 2; i++) {
    config = offering(&queues[i], 1);
    config.submission = 1;
    assert_false(is_legal(&config));
  }
}

static void mechanisms_are_those_that_there_are(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  for (uint32_t bit = 0; bit < 32; bit++) {
    config.mechanisms = 1U << bit;
    assert_int_equal(is_legal(&config), bit > EHLO_SASL_OTHER && bit < EHLO_SASL_COUNT);
  }
  config.mechanisms = (1U << EHLO_SASL_COUNT) - 2;
  assert_true(is_legal(&config));
  config.mechanisms = (1U << EHLO_SASL_COUNT) - 1;
  assert_false(is_legal(&config));
}

/* ---- texts --------------------------------------------------------------------------------------------------------
 */

static ehlo_span *text_of(ehlo_server_config *config, size_t number)
{
  ehlo_span *const texts[] = {&config->other_mechanisms,
                              &config->priority_policy,
                              &config->solicit,
                              &config->burl,
                              &config->xclient,
                              &config->xforward,
                              &config->own_keywords,
                              &config->own_verbs,
                              &config->own_mail_parameters,
                              &config->own_rcpt_parameters,
                              &config->hostname};
  return texts[number];
}

enum { MECHANISMS, POLICY, SOLICIT, BURL, XCLIENT, XFORWARD, KEYWORDS, VERBS, MAILS, RCPTS, TEXTS };

#define LIST (1U << MECHANISMS | 1U << BURL | 1U << XCLIENT | 1U << XFORWARD | 1U << VERBS | 1U << MAILS | 1U << RCPTS)
#define ALL  ((1U << TEXTS) - 1)

/* Bits of the texts that may be this; no other may. */
static const struct {
  const char *text;
  unsigned good;
} texts[] = {
    {"", ALL},
    {"XA", ALL},
    {"xa", ALL},
    {"XA XB", LIST | 1U << KEYWORDS},
    {" XA", 0},
    {"XA ", 0},
    {"XA  XB", 0},
    {" ", 0},
    {"XA\tXB", 0},
    {"XA\nXB", 1U << KEYWORDS},
    {"XA\n", 0},
    {"\nXA", 0},
    {"\n", 0},
    {"XA\n\nXB", 0},
    {"XA\r\nXB", 0},
    {"XA\r", 0},
    {"XA\x7F", 0},
    {"X\xC3\xA9", 0},
    {"-XA", 1U << MECHANISMS | 1U << POLICY | 1U << BURL},
    {"XA-B9", ALL},
    {"XA -B", 1U << MECHANISMS | 1U << BURL | 1U << KEYWORDS},
    {"9XA", ALL & ~(1U << SOLICIT)},
    {"X_A", 1U << MECHANISMS | 1U << SOLICIT | 1U << BURL},
    {"X.A:b", 1U << SOLICIT | 1U << BURL},
    {"XA,XB", 1U << SOLICIT | 1U << BURL},
    {"XA,", 1U << BURL},
    {"XA=1", 1U << BURL},
    {"XA a=b", 1U << BURL | 1U << KEYWORDS},
    {"imap imap://mail.example.org", 1U << BURL | 1U << KEYWORDS},
    /* names that the library knows */
    {"PLAIN", ALL & ~(1U << MECHANISMS)},
    {"XA scram-sha-256", (LIST & ~(1U << MECHANISMS)) | 1U << KEYWORDS},
    {"SIZE", ALL & ~(1U << KEYWORDS | 1U << MAILS | 1U << RCPTS)},
    {"size 5", LIST & ~(1U << MAILS | 1U << RCPTS)},
    {"XA\nDSN", 0},
    {"MAIL", ALL & ~(1U << VERBS)},
    {"XA starttls", (LIST & ~(1U << VERBS)) | 1U << KEYWORDS},
    {"StartTLS", ALL & ~(1U << VERBS | 1U << KEYWORDS)},
    {"XCLIENT", ALL & ~(1U << VERBS | 1U << KEYWORDS)},
    {"rrvs", ALL & ~(1U << KEYWORDS | 1U << MAILS | 1U << RCPTS)},
    /* and others that are nearly like them */
    {"SIZES", ALL},
    {"MAILS", ALL},
    {"CONNECT", ALL},
    /* of 20 and 21 octets */
    {"XABCDEFGHIJKLMNOPQRS", ALL},
    {"XABCDEFGHIJKLMNOPQRST", ALL & ~(1U << MECHANISMS | 1U << POLICY)},
};

static void check_text(size_t number, const char *text, int good)
{
  ehlo_server_config config = host_config();
  *text_of(&config, number) = ehlo_span_of(text);
  if (is_legal(&config) != good) {
    fail_msg("text %zu: \"%s\" is %s", number, text, good ? "refused" : "taken");
  }
}

static void texts_keep_their_grammar(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    for (size_t number = 0; number < TEXTS; number++) {
      check_text(number, texts[i].text, (int)(texts[i].good >> number & 1));
    }
  }
  for (size_t number = 0; number < TEXTS; number++) {
    ehlo_server_config config = host_config();
    *text_of(&config, number) = (ehlo_span){NULL, 1};
    assert_false(is_legal(&config));
    *text_of(&config, number) = (ehlo_span){"X\0A", 3};
    assert_false(is_legal(&config));
  }
}

/* Words of `of` octets with spaces between, `length` octets together, in `text`. */
static ehlo_span words(char *text, size_t length, size_t of)
{
  memset(text, 'X', length);
  for (size_t at = of; at + 1 < length; at += of + 1) {
    text[at] = ' ';
  }
  return (ehlo_span){text, length};
}

static void texts_fit_a_line(void **state)
{
  (void)state;
  char text[KEYWORDS_MAX + 1];
  for (size_t number = 0; number < TEXTS; number++) {
    ehlo_server_config config = host_config();
    if (number == POLICY) {
      continue;
    }
    size_t of = number == MECHANISMS ? 20 : number == KEYWORDS || number == SOLICIT ? sizeof text : 300;
    *text_of(&config, number) = words(text, TEXT_MAX, of);
    assert_true(is_legal(&config));
    *text_of(&config, number) = words(text, TEXT_MAX + 1, of);
    assert_false(is_legal(&config));
  }
}

static void own_lines_are_a_hundred_at_most(void **state)
{
  (void)state;
  char text[KEYWORDS_MAX + 1];
  ehlo_server_config config = host_config();
  for (size_t i = 0; i < sizeof text; i++) {
    text[i] = i % 2 == 0 ? 'X' : '\n';
  }
  config.own_keywords = (ehlo_span){text, 2 * OWN_LINES - 1};
  assert_true(is_legal(&config));
  config.own_keywords.len += 2;
  assert_false(is_legal(&config));
  /* All together have room too: 12 lines of 255 octets. */
  memset(text, 'X', sizeof text);
  for (size_t at = 255; at < sizeof text; at += 256) {
    text[at] = '\n';
  }
  config.own_keywords = (ehlo_span){text, KEYWORDS_MAX - 1};
  assert_true(is_legal(&config));
  config.own_keywords.len = KEYWORDS_MAX + 1;
  assert_false(is_legal(&config));
}

/* ---- the EHLO answer ----------------------------------------------------------------------------------------------
 */

/* Drains octet by octet what comes, feeding when it is wanted. */
static void drain_slowly(struct host *host)
{
  for (;;) {
    size_t size;
    const char *output = ehlo_server_output(host->server, &size);
    if (size > 0) {
      host->output[host->output_size++] = *output;
      ehlo_server_sent(host->server, 1);
    } else if ((host_want(host) & EHLO_WANT_FEED) == 0) {
      return;
    }
    if ((host_want(host) & EHLO_WANT_FEED) != 0) {
      host_feed(host, NULL, 0);
    }
  }
}

/* Every text as long as it may be, in memory of its own that is overwritten once the session is made: the block has
 * room for all of it, and nothing is written behind. */
static void texts_are_copied_into_the_block(void **state)
{
  (void)state;
  char expected[2 * KEYWORDS_MAX];
  char *keywords = malloc(KEYWORDS_MAX - 1);
  char *others = malloc(TEXT_MAX);
  size_t at = 0;
  for (size_t i = 0; i < OWN_LINES; i++) { /* 3,071 octets */
    size_t length = i == 0 ? KEYWORDS_MAX - 1 - 30 * (OWN_LINES - 1) : 29;
    memset(keywords + at, 'A' + (int)(i % 26), length);
    at += length;
    if (i < OWN_LINES - 1) {
      keywords[at++] = '\n';
    }
  }
  assert_int_equal(at, KEYWORDS_MAX - 1);
  size_t expected_size = 0;
  for (const char *line = keywords; line < keywords + at;) {
    const char *end = memchr(line, '\n', (size_t)(keywords + at - line));
    size_t length = (size_t)((end == NULL ? keywords + at : end) - line);
    memcpy(expected + expected_size, end == NULL ? "250 " : "250-", 4);
    memcpy(expected + expected_size + 4, line, length);
    memcpy(expected + expected_size + 4 + length, "\r\n", 2);
    expected_size += length + 6;
    line += length + 1;
  }
  static const uint32_t soliciting[] = {EHLO_EXT_NO_SOLICITING, EHLO_EXT_MT_PRIORITY};
  ehlo_server_config config = offering(soliciting, 2);
  memset(others, 'S', TEXT_MAX);
  config.own_keywords = (ehlo_span){keywords, at};
  config.solicit = (ehlo_span){others, TEXT_MAX};
  config.priority_policy = (ehlo_span){others, 20};
  config.burl = config.xclient = config.xforward = config.own_verbs = (ehlo_span){others, TEXT_MAX};
  config.own_mail_parameters = config.own_rcpt_parameters = config.own_verbs;
  config.output_size = EHLO_MIN_OUTPUT_SIZE;
  struct host host;
  host_open(&host, &config);
  memset(keywords, '!', at);
  memset(others, '!', TEXT_MAX);
  assert_int_equal(ehlo_server_start(host.server), EHLO_OK);
  drain_slowly(&host);
  host.output_size = 0;
  for (int again = 0; again < 2; again++) {
    host_say(&host, EHLO_LINE);
    drain_slowly(&host);
    size_t head = sizeof "250-mail.example.org\r\n" - 1 + sizeof "250-MT-PRIORITY \r\n" - 1 + 20 +
                  sizeof "250-NO-SOLICITING \r\n" - 1 + TEXT_MAX;
    assert_int_equal(host.output_size, head + expected_size);
    assert_memory_equal(host.output + head, expected, expected_size);
    assert_memory_equal(host.output, "250-mail.example.org\r\n250-MT-PRIORITY SSSSSSSSSSSSSSSSSSSS\r\n250-NO-SOL", 62);
    host.output_size = 0;
  }
  host_close(&host);
  free(keywords);
  free(others);
}

/* Each line of the answer to a hello keeps to 512 octets, whatever a config says of AUTH. */
static void the_longest_list_of_mechanisms_fits_a_line(void **state)
{
  (void)state;
  static const uint32_t auth[] = {EHLO_EXT_AUTH};
  ehlo_server_config config = offering(auth, 1);
  char text[TEXT_MAX];
  config.mechanisms = (1U << EHLO_SASL_COUNT) - 2;
  config.other_mechanisms = words(text, TEXT_MAX, 20);
  config.allow_plaintext_auth = 1;
  config.output_size = EHLO_MIN_OUTPUT_SIZE;
  if (!is_legal(&config)) {
    skip(); /* AUTH cannot be offered */
  }
  struct host host;
  host_begin(&host, &config, "");
  host_say(&host, EHLO_LINE);
  drain_slowly(&host);
  assert_memory_equal(host.output + host.output_size - 9, " XXXXXX\r\n", 9);
  const char *line = host.output;
  const char *end = host.output + host.output_size;
  while (line < end) {
    const char *lf = memchr(line, '\n', (size_t)(end - line));
    assert_non_null(lf);
    assert_true(lf + 1 - line <= 512);
    line = lf + 1;
  }
  host_close(&host);
}

/* All that can be offered together. */
static ehlo_server_config everything(void)
{
  ehlo_server_config config = host_config();
  config.submission = 1;
  config.hold_max = 1;
  config.mechanisms = 1U << EHLO_SASL_PLAIN;
  config.allow_plaintext_auth = 1;
  for (uint32_t e = 0; e < EHLO_EXT_COUNT; e++) {
    uint8_t before = config.offer[e];
    config.offer[e] = 1;
    if (!is_legal(&config) && e != EHLO_EXT_BINARYMIME) {
      config.offer[e] = before;
    }
  }
  assert_true(is_legal(&config));
  return config;
}

/* Does the answer to EHLO list it? */
static int is_listed(struct host *host, uint32_t extension)
{
  host_say(host, EHLO_LINE);
  drain_slowly(host);
  host->output[host->output_size] = '\0';
  size_t length = strlen(ehlo_extension_keyword(extension));
  int found = 0;
  for (const char *line = host->output; line != NULL && *line != '\0';) {
    found += strncmp(line + 4, ehlo_extension_keyword(extension), length) == 0 &&
             (line[4 + length] == ' ' || line[4 + length] == '\r');
    line = strchr(line, '\n');
    line += line != NULL;
  }
  host->output_size = 0;
  return found;
}

static uint32_t needed_by(uint32_t extension)
{
  return extension == EHLO_EXT_CHUNKING ? (uint32_t)EHLO_EXT_BINARYMIME : (uint32_t)EHLO_EXT_COUNT;
}

static void each_can_be_switched_off_and_on(void **state)
{
  (void)state;
  ehlo_server_config config = everything();
  for (int tls = 0; tls < 2; tls++) {
    struct host host;
    host_open(&host, &config);
    if (tls) {
      assert_int_equal(ehlo_server_tls_done(host.server, NULL), EHLO_OK);
    }
    assert_int_equal(ehlo_server_start(host.server), EHLO_OK);
    drain_slowly(&host);
    host.output_size = 0;
    unsigned count = 0;
    for (uint32_t e = 0; e < EHLO_EXT_COUNT; e++) {
      int shown = config.offer[e] && e != (uint32_t)(tls ? EHLO_EXT_STARTTLS : EHLO_EXT_REQUIRETLS);
      count += config.offer[e] != 0;
      assert_int_equal(is_listed(&host, e), shown);
      if (!config.offer[e]) {
        assert_int_equal(ehlo_server_offer(host.server, e, 1), EHLO_ERR_CONFIG);
        assert_int_equal(ehlo_server_offer(host.server, e, 0), EHLO_OK);
        continue;
      }
      uint32_t other = needed_by(e);
      if (e == EHLO_EXT_8BITMIME) {
        assert_int_equal(ehlo_server_offer(host.server, e, 0), EHLO_ERR_CONFIG);
        assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_SMTPUTF8, 0), EHLO_OK);
        assert_int_equal(ehlo_server_offer(host.server, e, 0), EHLO_ERR_CONFIG);
        assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_SMTPUTF8, 1), EHLO_OK);
        continue;
      }
      if (other < EHLO_EXT_COUNT) {
        assert_int_equal(ehlo_server_offer(host.server, e, 0), EHLO_ERR_CONFIG);
        assert_int_equal(ehlo_server_offer(host.server, other, 0), EHLO_OK);
      }
      assert_int_equal(ehlo_server_offer(host.server, e, 0), EHLO_OK);
      assert_int_equal(is_listed(&host, e), 0);
      assert_int_equal(ehlo_server_offer(host.server, e, 1), EHLO_OK);
      assert_int_equal(ehlo_server_offer(host.server, e, 1), EHLO_OK);
      if (other < EHLO_EXT_COUNT) {
        assert_int_equal(ehlo_server_offer(host.server, other, 1), EHLO_OK);
      }
      assert_int_equal(is_listed(&host, e), shown);
    }
    assert_true(count >= 27);
    host_close(&host);
  }
}

/* RFC 6409 and RFC 2033, in one line each. [S-SUBM-01] [S-SUBM-02] [S-LMTP-08] */
static void presets_are_what_they_say(void **state)
{
  (void)state;
  ehlo_server_config config;
  for (uint32_t preset = EHLO_PRESET_MX; preset <= EHLO_PRESET_LMTP; preset++) {
    assert_int_equal(ehlo_server_config_preset(&config, sizeof config, preset), EHLO_OK);
    config.hostname = ehlo_span_of("mail.example.org");
    assert_int_not_equal(ehlo_server_size(&config), 0);
    int submission = preset == EHLO_PRESET_SUBMISSION;
    assert_int_equal(config.submission, submission);
    assert_int_equal(config.require_auth, submission);
    assert_int_equal(config.offer[EHLO_EXT_AUTH], submission);
    assert_int_equal(config.offer[EHLO_EXT_STARTTLS], submission);
    assert_int_equal(config.offer[EHLO_EXT_DSN], preset != EHLO_PRESET_MX);
    assert_int_equal(config.mechanisms, submission ? 1U << EHLO_SASL_PLAIN | 1U << EHLO_SASL_LOGIN : 0U);
    assert_int_equal(config.protocol, preset == EHLO_PRESET_LMTP ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP);
    assert_int_equal(config.allow_plaintext_auth, 0);
  }
  assert_int_equal(ehlo_server_config_preset(&config, sizeof config, EHLO_PRESET_LMTP + 1), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_config_preset(NULL, sizeof config, EHLO_PRESET_MX), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_config_preset(&config, 8, EHLO_PRESET_SUBMISSION), EHLO_ERR_ARGUMENT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_told_by_default),
      cmocka_unit_test(numbers_keep_to_their_limits),
      cmocka_unit_test(future_release_needs_its_maxima),
      cmocka_unit_test(some_go_with_submission_and_some_do_not),
      cmocka_unit_test(mechanisms_are_those_that_there_are),
      cmocka_unit_test(texts_keep_their_grammar),
      cmocka_unit_test(texts_fit_a_line),
      cmocka_unit_test(own_lines_are_a_hundred_at_most),
      cmocka_unit_test(texts_are_copied_into_the_block),
      cmocka_unit_test(the_longest_list_of_mechanisms_fits_a_line),
      cmocka_unit_test(each_can_be_switched_off_and_on),
      cmocka_unit_test(presets_are_what_they_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
