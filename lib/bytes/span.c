/* span.c: spans and the table of character classes. Floor: bytes. */
#include "span.h"

#include <string.h>

#define CTL 0
#define SPC (CLASS_QTEXT | CLASS_TEXT)
#define TAB CLASS_TEXT
#define QUO (CLASS_VALUE | CLASS_XCHAR | CLASS_TEXT)               /* " */
#define SLA (CLASS_VALUE | CLASS_XCHAR | CLASS_TEXT)               /* \ */
#define PUN (CLASS_QTEXT | CLASS_VALUE | CLASS_XCHAR | CLASS_TEXT) /* no atext */
#define ATX (PUN | CLASS_ATEXT)
#define PLU (CLASS_QTEXT | CLASS_VALUE | CLASS_TEXT | CLASS_ATEXT) /* + */
#define EQU (CLASS_QTEXT | CLASS_TEXT | CLASS_ATEXT)               /* = */
#define HYP (ATX | CLASS_LDH)
#define DIG (ATX | CLASS_LDH | CLASS_DIGIT)
#define ALP (ATX | CLASS_LDH | CLASS_ALPHA)

const uint8_t ehlo_class[256] = {
    /* clang-format off */
    CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, TAB, CTL, CTL, CTL, CTL, CTL, CTL,
    CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL, CTL,
    /*   !    "    #    $    %    &    '    (    )    *    +    ,    -    .    / */
    SPC, ATX, QUO, ATX, ATX, ATX, ATX, ATX, PUN, PUN, ATX, PLU, PUN, HYP, PUN, ATX,
    /* 0 to 9                                          :    ;    <    =    >    ? */
    DIG, DIG, DIG, DIG, DIG, DIG, DIG, DIG, DIG, DIG, PUN, PUN, PUN, EQU, PUN, ATX,
    /* @ A to O */
    PUN, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP,
    /* P to Z                                               [    \    ]    ^    _ */
    ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, PUN, SLA, PUN, ATX, ATX,
    /* ` a to o */
    ATX, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP,
    /* p to z                                               {    |    }    ~  DEL */
    ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ALP, ATX, ATX, ATX, ATX, CTL,
    /* clang-format on */
};

ehlo_span ehlo_span_of(const char *string)
{
  return string == NULL ? span_of("", 0) : span_of(string, strlen(string));
}

int ehlo_span_equal(ehlo_span a, ehlo_span b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

int ehlo_span_equal_nocase(ehlo_span a, ehlo_span b)
{
  if (a.len != b.len) {
    return 0;
  }
  for (size_t i = 0; i < a.len; i++) {
    if (octet_lower((unsigned char)a.ptr[i]) != octet_lower((unsigned char)b.ptr[i])) {
      return 0;
    }
  }
  return 1;
}
