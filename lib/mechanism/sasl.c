/* sasl.c: what is said in AUTH. Floor: mechanism. */
#include "sasl.h"

#include "../bytes/span.h"

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
  return name.len >= 1 && name.len <= 20;
}
