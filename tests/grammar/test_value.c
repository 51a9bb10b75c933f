/* test_value.c: the values of the parameters of MAIL and RCPT, each at its edges. */
#include "check.h"

#include "grammar/table.h"

enum { UTF8 = EHLO_PARSE_UTF8 };

/* What is read is told again in the one way that the formatter has. */
struct good_row {
  const char *rule;
  ehlo_span text; /* a list of parameters */
  ehlo_span want; /* how it is told again; SAME */
  uint32_t flags;
};

#define SAME       \
  {                \
    NULL, SIZE_MAX \
  }

static const struct good_row good[] = {
    /* SIZE, BODY, SMTPUTF8 */
    {"P-SIZE-02", TEXT("SIZE=0"), SAME, 0},
    {"P-SIZE-02", TEXT("size=00000000000000000042"), TEXT("SIZE=42"), 0},
    {"P-SIZE-02", TEXT("SIZE=99999999999999999999"), TEXT("SIZE=18446744073709551615"), 0},
    {"P-8BIT-01", TEXT("BODY=7BIT"), SAME, 0},
    {"P-8BIT-01", TEXT("Body=8bitMime"), TEXT("BODY=8BITMIME"), 0},
    {"P-CHNK-14", TEXT("BODY=BINARYMIME"), SAME, 0},
    {"P-CHNK-14", TEXT("BODY=binarymime"), TEXT("BODY=BINARYMIME"), 0},
    {"P-UTF8-03", TEXT("smtputf8"), TEXT("SMTPUTF8"), 0},
    /* RET, ENVID */
    {"P-DSN-04", TEXT("RET=FULL"), SAME, 0},
    {"P-DSN-04", TEXT("RET=HDRS"), SAME, 0},
    {"P-DSN-04", TEXT("RET=fUlL"), TEXT("RET=FULL"), 0},
    {"P-DSN-04", TEXT("RET=hdrs"), TEXT("RET=HDRS"), 0},
    {"P-DSN-05", TEXT("ENVID=QQ314159"), SAME, 0},
    {"P-DSN-05", TEXT("ENVID=x"), SAME, 0},
    {"P-DSN-05", TEXT("ENVID=!\"#$%&'()*,-./0:;<>?@[\\]^_`{|}~"), SAME, 0},
    {"P-DSN-05", TEXT("ENVID=+2B+3D+20+7E+09"), SAME, 0}, /* "graphic and white space" */
    /* AUTH */
    {"P-AUTH-29", TEXT("AUTH=<>"), SAME, 0},
    {"P-AUTH-29", TEXT("AUTH=+3C+3E"), SAME, 0},
    {"P-AUTH-29", TEXT("AUTH=e+3Dmc2@example.com"), SAME, 0}, /* RFC 4954 5.1 */
    {"P-AUTH-29", TEXT("AUTH=\"a+20b\"@[192.0.2.1]"), SAME, 0},
    {"P-AUTH-29", TEXT("AUTH=a@b"), SAME, 0},
    {"P-AUTH-29", TEXT("AUTH=+C3+A9@example.com"), SAME, UTF8},
    /* SUBMITTER */
    {"P-MISC-04", TEXT("SUBMITTER=alice@mobile.net.example"), SAME, 0}, /* RFC 4405 6.3 */
    {"P-MISC-04", TEXT("submitter=a+2Bb@example.com"), TEXT("SUBMITTER=a+2Bb@example.com"), 0},
    {"P-MISC-04", TEXT("SUBMITTER=+C3+A9@example.com"), SAME, UTF8},
    /* REQUIRETLS, CONPERM, CONNEG */
    {"P-RTLS-01", TEXT("REQUIRETLS"), SAME, 0},
    {"P-RTLS-01", TEXT("RequireTLS"), TEXT("REQUIRETLS"), 0},
    {"P-MISC-05", TEXT("CONPERM"), SAME, 0},
    {"P-MISC-05", TEXT("CONNEG"), SAME, 0},
    /* MT-PRIORITY */
    {"P-MTPR-01", TEXT("MT-PRIORITY=0"), SAME, 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=1"), SAME, 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=9"), SAME, 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=-1"), SAME, 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=-9"), SAME, 0},
    /* BY */
    {"P-DLBY-01", TEXT("BY=120;R"), SAME, 0}, /* RFC 2852 6 */
    {"P-DLBY-01", TEXT("BY=1;R"), SAME, 0},
    {"P-DLBY-01", TEXT("BY=+000000001;rt"), TEXT("BY=1;RT"), 0},
    {"P-DLBY-01", TEXT("BY=999999999;RT"), SAME, 0},
    {"P-DLBY-01", TEXT("BY=+999999999;N"), TEXT("BY=999999999;N"), 0},
    {"P-DLBY-01", TEXT("BY=000000000;nT"), TEXT("BY=0;NT"), 0},
    {"S-DLBY-03", TEXT("BY=0;N"), SAME, 0},
    {"S-DLBY-03", TEXT("BY=-0;N"), TEXT("BY=0;N"), 0},
    {"S-DLBY-03", TEXT("BY=-1;NT"), SAME, 0},
    {"S-DLBY-03", TEXT("BY=-999999999;N"), SAME, 0},
    /* HOLDFOR, HOLDUNTIL */
    {"P-FREL-01", TEXT("HOLDFOR=1"), SAME, 0},
    {"P-FREL-01", TEXT("HOLDFOR=999999999"), SAME, 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00Z"), SAME, 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26t10:30:00z"), TEXT("HOLDUNTIL=2026-11-26T10:30:00Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00+00:00"), TEXT("HOLDUNTIL=2026-11-26T10:30:00Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00-00:00"), TEXT("HOLDUNTIL=2026-11-26T10:30:00Z"), 0},
    {"S-FREL-03", TEXT("HOLDUNTIL=2026-11-26T10:30:00.000Z"), TEXT("HOLDUNTIL=2026-11-26T10:30:00Z"), 0},
    {"S-FREL-04", TEXT("HOLDUNTIL=2026-11-26T10:30:00.001Z"), TEXT("HOLDUNTIL=2026-11-26T10:30:01Z"), 0},
    {"S-FREL-04", TEXT("HOLDUNTIL=2026-12-31T23:59:59.9+00:00"), TEXT("HOLDUNTIL=2027-01-01T00:00:00Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=9999-12-31T23:59:59.0Z"), TEXT("HOLDUNTIL=9999-12-31T23:59:59Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=0001-01-01T00:00:00Z"), SAME, 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-12-31T23:59:60Z"), TEXT("HOLDUNTIL=2027-01-01T00:00:00Z"), 0},
    /* SOLICIT */
    {"P-NSOL-01", TEXT("SOLICIT=a"), SAME, 0},
    {"P-NSOL-01", TEXT("SOLICIT=net.example:ADV"), SAME, 0}, /* RFC 3865 2.2 */
    {"P-NSOL-01", TEXT("SOLICIT=org.example:ADV:ADLT,net.example:ADV"), SAME, 0},
    {"P-NSOL-01", TEXT("SOLICIT=Z.-_:09az,A,b-"), SAME, 0},
    /* MTRK, which needs an ENVID */
    {"P-MISC-03", TEXT("ENVID=1@a MTRK=QUJD"), SAME, 0},
    {"P-MISC-03", TEXT("ENVID=1@a MTRK=QUI"), SAME, 0},
    {"P-MISC-03", TEXT("ENVID=1@a MTRK=QQ"), SAME, 0},
    {"P-MISC-03", TEXT("MTRK=qUqP5cyxm6YcTAhz05Hph5gvu9M ENVID=1@a"),
     TEXT("ENVID=1@a MTRK=qUqP5cyxm6YcTAhz05Hph5gvu9M"), 0},
    {"P-MISC-03", TEXT("ENVID=1@a MTRK=//+/:0"), SAME, 0},
    {"P-MISC-03", TEXT("ENVID=1@a MTRK=QUJD:000000007"), TEXT("ENVID=1@a MTRK=QUJD:7"), 0},
    {"P-MISC-03", TEXT("ENVID=1@a MTRK=QUJD:999999999"), SAME, 0},
    /* TRANSID */
    {"P-MISC-01", TEXT("TRANSID=<12345@claremont.edu>"), SAME, 0}, /* RFC 1845 5 */
    {"P-MISC-01", TEXT("TRANSID=<a@b>"), SAME, 0},
    {"P-MISC-01", TEXT("TRANSID=<A.b.!#$%&'*+-^_`{|}~@c.D>"), SAME, 0},
    /* NOTIFY */
    {"P-DSN-02", TEXT("NOTIFY=NEVER"), SAME, 0},
    {"P-DSN-02", TEXT("NOTIFY=never"), TEXT("NOTIFY=NEVER"), 0},
    {"P-DSN-02", TEXT("NOTIFY=SUCCESS"), SAME, 0},
    {"P-DSN-02", TEXT("NOTIFY=FAILURE"), SAME, 0},
    {"P-DSN-02", TEXT("NOTIFY=DELAY"), SAME, 0},
    {"P-DSN-02", TEXT("NOTIFY=SUCCESS,FAILURE,DELAY"), SAME, 0},
    {"P-DSN-02", TEXT("NOTIFY=Delay,success"), TEXT("NOTIFY=SUCCESS,DELAY"), 0},
    {"P-DSN-02", TEXT("NOTIFY=DELAY,DELAY,FAILURE"), TEXT("NOTIFY=FAILURE,DELAY"), 0},
    /* ORCPT */
    {"P-DSN-03", TEXT("ORCPT=rfc822;Bob@Example.COM"), SAME, 0},
    {"P-DSN-03", TEXT("ORCPT=RFC822;a+2Bb@example.com"), SAME, 0},
    {"P-DSN-03", TEXT("ORCPT=x400;/G+3DBob/S+3DJones/"), SAME, 0},
    {"P-DSN-03", TEXT("ORCPT=!#$%&'*+-/?^_`{|}~09az;no+20address+09at+20all"), SAME, 0},
    {"P-DSN-03", TEXT("ORCPT=rfc822;"), SAME, 0}, /* xtext may be empty */
    {"P-DSN-03", TEXT("ORCPT=rfc822;a;b"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;bob@example.com"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=UTF-8;\\x{E9}\\x{20AC}\\x{1F600}@example.com"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{80}\\x{FF}\\x{100}\\x{FFF}\\x{1000}\\x{D7FF}\\x{E000}\\x{FFFF}@a"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{10000}\\x{FFFFF}\\x{100000}\\x{10FFFF}@a"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{e9}\\x{20aC}@a"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;a@b\\x{E9}c\\x{20AC}.example"), SAME, 0}, /* nothing of the braces is left over */
    {"P-DSN-16", TEXT("ORCPT=utf-8;a\\x{2B}b\\x{3D}c@example.com"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\"a\\x{20}b\\x{5C}\\x{5C}\"@a"), SAME, 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\xC3\xA9@\xE2\x82\xAC.example"), SAME, UTF8},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\xF0\x9F\x98\x80\\x{E9}\xC3\xA9@a"), SAME, UTF8},
    /* RRVS */
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00Z"), SAME, 0}, /* RFC 7293 9 */
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00Z;C"), SAME, 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00Z;R"), SAME, 0},
    {"P-RRVS-01", TEXT("rrvs=2014-04-03t23:01:00z;c"), TEXT("RRVS=2014-04-03T23:01:00Z;C"), 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00-02:00;r"), TEXT("RRVS=2014-04-04T01:01:00Z;R"), 0},
};

/* One parameter, which a list with UTF-8 lets pass, and its reader does not. */
struct bad_row {
  const char *rule;
  ehlo_span text;
  uint32_t flags;
};

static const struct bad_row bad[] = {
    /* a value that is missing, or one too many */
    {"P-SIZE-02", TEXT("SIZE"), 0},
    {"P-8BIT-01", TEXT("BODY"), 0},
    {"P-UTF8-03", TEXT("SMTPUTF8=1"), 0},
    {"P-DSN-04", TEXT("RET"), 0},
    {"P-DSN-05", TEXT("ENVID"), 0},
    {"P-DSN-02", TEXT("NOTIFY"), 0},
    {"P-DSN-03", TEXT("ORCPT"), 0},
    {"P-AUTH-29", TEXT("AUTH"), 0},
    {"P-DLBY-01", TEXT("BY"), 0},
    {"P-FREL-01", TEXT("HOLDFOR"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY"), 0},
    {"P-RTLS-01", TEXT("REQUIRETLS=1"), 0},
    {"P-RRVS-01", TEXT("RRVS"), 0},
    {"P-NSOL-01", TEXT("SOLICIT"), 0},
    {"P-MISC-03", TEXT("MTRK"), 0},
    {"P-MISC-04", TEXT("SUBMITTER"), 0},
    {"P-MISC-05", TEXT("CONPERM=YES"), 0},
    {"P-MISC-05", TEXT("CONNEG=YES"), 0},
    {"P-MISC-01", TEXT("TRANSID"), 0},
    /* SIZE, BODY */
    {"P-SIZE-02", TEXT("SIZE=000000000000000000042"), 0},
    {"P-SIZE-02", TEXT("SIZE=1k"), 0},
    {"P-SIZE-02", TEXT("SIZE=-1"), 0},
    {"P-8BIT-01", TEXT("BODY=8BIT"), 0},
    {"P-8BIT-01", TEXT("BODY=7BITMIME"), 0},
    {"P-CHNK-14", TEXT("BODY=BINARY"), 0},
    {"P-CHNK-14", TEXT("BODY=BINARYMIMES"), 0},
    /* RET, ENVID */
    {"P-DSN-04", TEXT("RET=HDR"), 0},
    {"P-DSN-04", TEXT("RET=FULL,HDRS"), 0},
    {"P-DSN-05", TEXT("ENVID=a+2"), 0},
    {"P-DSN-05", TEXT("ENVID=a+2b"), 0}, /* hexadecimal digits are of upper case */
    {"P-DSN-05", TEXT("ENVID=+"), 0},
    {"P-DSN-05", TEXT("ENVID=a+00"), 0}, /* not printable, decoded */
    {"P-DSN-05", TEXT("ENVID=a+0D+0Ab"), 0},
    {"P-DSN-05", TEXT("ENVID=a+1F"), 0},
    {"P-DSN-05", TEXT("ENVID=a+7F"), 0},
    {"P-DSN-05", TEXT("ENVID=a+80"), 0},
    {"P-DSN-05", TEXT("ENVID=+C3+A9"), UTF8},
    {"P-DSN-05", TEXT("ENVID=\xC3\xA9"), UTF8},
    /* AUTH, SUBMITTER */
    {"P-AUTH-29", TEXT("AUTH=<a@b>"), 0},
    {"P-AUTH-29", TEXT("AUTH=a"), 0},
    {"P-AUTH-29", TEXT("AUTH=a@"), 0},
    {"P-AUTH-29", TEXT("AUTH=a@b+20"), 0},
    {"P-AUTH-29", TEXT("AUTH=a+20b@c"), 0},
    {"P-AUTH-29", TEXT("AUTH=a+b@c"), 0},
    {"P-AUTH-29", TEXT("AUTH=<"), 0},
    {"P-AUTH-29", TEXT("AUTH=<>a@b"), 0},
    {"P-AUTH-29", TEXT("AUTH=a@b+0D+0A"), 0},
    {"P-AUTH-29", TEXT("AUTH=+C3+A9@example.com"), 0}, /* UTF-8 needs its flag */
    {"P-AUTH-29", TEXT("AUTH=+C3@example.com"), UTF8},
    {"P-AUTH-29", TEXT("AUTH=\xC3\xA9@example.com"), UTF8}, /* and is not of xtext */
    {"P-MISC-04", TEXT("SUBMITTER=<>"), 0},
    {"P-MISC-04", TEXT("SUBMITTER=<a@b>"), 0},
    {"P-MISC-04", TEXT("SUBMITTER=postmaster"), 0},
    {"P-MISC-04", TEXT("SUBMITTER=a+b@c"), 0},
    {"P-MISC-04", TEXT("SUBMITTER=+C3+A9@example.com"), 0},
    /* MT-PRIORITY */
    {"P-MTPR-01", TEXT("MT-PRIORITY=10"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=-10"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=+1"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=-0"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=00"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=01"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=-"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=--1"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=a"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=/"), 0},
    {"P-MTPR-01", TEXT("MT-PRIORITY=:"), 0},
    /* BY */
    {"S-DLBY-02", TEXT("BY=0;R"), 0},
    {"S-DLBY-02", TEXT("BY=-0;R"), 0},
    {"S-DLBY-02", TEXT("BY=+0;RT"), 0},
    {"S-DLBY-02", TEXT("BY=-1;R"), 0},
    {"P-DLBY-01", TEXT("BY=1"), 0},
    {"P-DLBY-01", TEXT("BY=1;"), 0},
    {"P-DLBY-01", TEXT("BY=;N"), 0},
    {"P-DLBY-01", TEXT("BY=+;N"), 0},
    {"P-DLBY-01", TEXT("BY=-;N"), 0},
    {"P-DLBY-01", TEXT("BY=+-1;N"), 0},
    {"P-DLBY-01", TEXT("BY=1;T"), 0},
    {"P-DLBY-01", TEXT("BY=1;NR"), 0},
    {"P-DLBY-01", TEXT("BY=1;TN"), 0},
    {"P-DLBY-01", TEXT("BY=1;NTT"), 0},
    {"P-DLBY-01", TEXT("BY=1;N;T"), 0},
    {"P-DLBY-01", TEXT("BY=1,N"), 0},
    {"P-DLBY-01", TEXT("BY=1000000000;N"), 0},
    {"P-DLBY-01", TEXT("BY=-1000000000;N"), 0},
    {"P-DLBY-01", TEXT("BY=0000000001;N"), 0},
    /* HOLDFOR, HOLDUNTIL */
    {"P-FREL-01", TEXT("HOLDFOR=0"), 0},
    {"P-FREL-01", TEXT("HOLDFOR=01"), 0},
    {"P-FREL-01", TEXT("HOLDFOR=1000000000"), 0},
    {"P-FREL-01", TEXT("HOLDFOR=-1"), 0},
    {"P-FREL-01", TEXT("HOLDFOR=+1"), 0},
    {"P-FREL-01", TEXT("HOLDFOR=1s"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00+01:00"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00-00:01"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00.Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00."), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00.5"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-26T10:30:00.5.5Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=2026-11-31T10:30:00Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=9999-12-31T23:59:59.1Z"), 0},
    {"P-FREL-01", TEXT("HOLDUNTIL=1795689000"), 0},
    /* SOLICIT */
    {"P-NSOL-01", TEXT("SOLICIT=,a"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=a,"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=a,,b"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=1a"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=a,1"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=.a"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=a;b"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=a/b"), 0},
    {"P-NSOL-01", TEXT("SOLICIT=\xC3\xA9"), UTF8},
    {"P-NSOL-01", TEXT("SOLICIT=a\xC3\xA9"), UTF8},
    /* MTRK */
    {"P-MISC-03", TEXT("MTRK=Q"), 0},
    {"P-MISC-03", TEXT("MTRK=QUJDQ"), 0},
    {"P-MISC-03", TEXT("MTRK=QR"), 0}, /* bits that no octet needs */
    {"P-MISC-03", TEXT("MTRK=QUJ"), 0},
    {"P-MISC-03", TEXT("MTRK=QU-D"), 0},
    {"P-MISC-03", TEXT("MTRK=Q-"), 0},
    {"P-MISC-03", TEXT("MTRK=QUJD:"), 0},
    {"P-MISC-03", TEXT("MTRK=:1"), 0},
    {"P-MISC-03", TEXT("MTRK=QUJD:1:2"), 0},
    {"P-MISC-03", TEXT("MTRK=QUJD:1000000000"), 0},
    {"P-MISC-03", TEXT("MTRK=QUJD:-1"), 0},
    /* TRANSID */
    {"P-MISC-01", TEXT("TRANSID=a@b"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a@b"), 0},
    {"P-MISC-01", TEXT("TRANSID=a@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a@>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a@b@c>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a@b>>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a@b>c"), 0},
    {"P-MISC-01", TEXT("TRANSID=<.a@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a.@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a..c@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a@b.>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a/c@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a?@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<\"a\"@b>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<a@[b]>"), 0},
    {"P-MISC-01", TEXT("TRANSID=<\xC3\xA9@b>"), UTF8},
    /* NOTIFY */
    {"P-DSN-02", TEXT("NOTIFY=NEVER,SUCCESS"), 0},
    {"P-DSN-02", TEXT("NOTIFY=SUCCESS,NEVER"), 0},
    {"P-DSN-02", TEXT("NOTIFY=NEVER,NEVER"), 0},
    {"P-DSN-02", TEXT("NOTIFY=NEVER,"), 0},
    {"P-DSN-02", TEXT("NOTIFY=SUCCESS,"), 0},
    {"P-DSN-02", TEXT("NOTIFY=,SUCCESS"), 0},
    {"P-DSN-02", TEXT("NOTIFY=SUCCESS,,DELAY"), 0},
    {"P-DSN-02", TEXT("NOTIFY=,"), 0},
    {"P-DSN-02", TEXT("NOTIFY=SUCCESS;DELAY"), 0},
    {"P-DSN-02", TEXT("NOTIFY=SUCCES"), 0},
    {"P-DSN-02", TEXT("NOTIFY=DELAYED"), 0},
    /* ORCPT */
    {"P-DSN-03", TEXT("ORCPT=bob@example.com"), 0},
    {"P-DSN-03", TEXT("ORCPT=;bob@example.com"), 0},
    {"P-DSN-03", TEXT("ORCPT=rfc.822;bob@example.com"), 0},
    {"P-DSN-03", TEXT("ORCPT=rfc(822);bob@example.com"), 0},
    {"P-DSN-03", TEXT("ORCPT=rfc822;a+2b"), 0},
    {"P-DSN-03", TEXT("ORCPT=rfc822;a+"), 0},
    {"P-DSN-03", TEXT("ORCPT=rfc822;a+0A"), 0},
    {"P-DSN-03", TEXT("ORCPT=rfc822;+C3+A9@example.com"), 0}, /* not printable ASCII, decoded */
    {"P-DSN-03", TEXT("ORCPT=rfc822;\xC3\xA9@example.com"), UTF8},
    {"P-DSN-03", TEXT("ORCPT=\xC3\xA9;bob@example.com"), UTF8},
    {"P-DSN-16", TEXT("ORCPT=utf-8;"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;bob"), 0}, /* no mailbox, decoded */
    {"P-DSN-16", TEXT("ORCPT=utf-8;a+2Bb@example.com"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;a+b@example.com"), UTF8},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\xC3\xA9@example.com"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{1}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{41}@a"), 0}, /* stands for itself */
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{7E}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{01}@a"), 0}, /* of HEXPOINT, but of no mailbox */
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{7F}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{0E9}@a"), 0}, /* leading zeros */
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{00E9}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{020AC}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{0020AC}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{01F600}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{0001F600}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{D800}@a"), 0}, /* surrogates */
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{DFFF}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{110000}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{1000000}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{G0}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\x{E9@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\xE9}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\X{E9}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\\u{E9}@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;\"\\a\"@a"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;a@a\\"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;a@a\\x{"), 0},
    {"P-DSN-16", TEXT("ORCPT=utf-8;a\\x{20}b@a"), 0},
    /* RRVS */
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00.0Z"), 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00Z;"), 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00Z;X"), 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00Z;CR"), 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00Z;C;R"), 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03T23:01:00ZC"), 0},
    {"P-RRVS-01", TEXT("RRVS=2014-04-03"), 0},
    {"P-RRVS-01", TEXT("RRVS=;C"), 0},
};

static int read_one(const ehlo_parameter *parameter, uint32_t flags, ehlo_mail_parameters *mail,
                    ehlo_rcpt_parameters *rcpt)
{
  return ehlo_parameters[parameter->id].verb == EHLO_VERB_RCPT ? ehlo_rcpt_parameter_read(parameter, flags, rcpt)
                                                               : ehlo_mail_parameter_read(parameter, flags, mail);
}

/* Reads a list into the struct of its command, as ehlo_parameter_next hands its members out. */
static int read_list(ehlo_span list, uint32_t flags, ehlo_mail_parameters *mail, ehlo_rcpt_parameters *rcpt)
{
  ehlo_parameter parameter;
  int result;
  *mail = (ehlo_mail_parameters){.struct_size = sizeof *mail};
  *rcpt = (ehlo_rcpt_parameters){.struct_size = sizeof *rcpt};
  while ((result = ehlo_parameter_next(&list, flags, &parameter)) == 1) {
    int is_rcpt = ehlo_parameters[parameter.id].verb == EHLO_VERB_RCPT;
    result =
        is_rcpt ? ehlo_rcpt_parameter_read(&parameter, flags, rcpt) : ehlo_mail_parameter_read(&parameter, flags, mail);
    if (result != EHLO_OK) {
      return result;
    }
  }
  return result;
}

/* What the structs say, one behind the other. */
static ehlo_span tell(const ehlo_mail_parameters *mail, const ehlo_rcpt_parameters *rcpt, uint32_t flags)
{
  static char text[4096];
  size_t first = 0;
  size_t second = 0;
  assert_int_equal(ehlo_format_mail_parameters(mail, flags, text, sizeof text, &first), EHLO_OK);
  assert_int_equal(ehlo_format_rcpt_parameters(rcpt, flags, text + first, sizeof text - first, &second), EHLO_OK);
  return (ehlo_span){text, first + second};
}

static void good_values_are_read_and_told_again(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(good); i++) {
    const struct good_row *row = &good[i];
    ehlo_span want = row->want.len == SIZE_MAX ? row->text : row->want;
    ehlo_mail_parameters mail;
    ehlo_rcpt_parameters rcpt;
    ehlo_span text = guard_copy(0, row->text);
    CHECK(row->rule, text, read_list(text, row->flags, &mail, &rcpt) == EHLO_OK);
    ehlo_span told = tell(&mail, &rcpt, row->flags);
    CHECK(row->rule, told, told.len == want.len + 1 && told.ptr[0] == ' ');
    CHECK(row->rule, told, memcmp(told.ptr + 1, want.ptr, want.len) == 0);
    text = guard_copy(1, (ehlo_span){told.ptr + 1, want.len});
    CHECK(row->rule, text, read_list(text, row->flags, &mail, &rcpt) == EHLO_OK);
    told = tell(&mail, &rcpt, row->flags);
    CHECK(row->rule, told, told.len == want.len + 1 && memcmp(told.ptr + 1, want.ptr, want.len) == 0);
  }
}

static void bad_values_are_refused_and_change_nothing(void **state)
{
  (void)state;
  const ehlo_mail_parameters no_mail = {.struct_size = sizeof no_mail};
  const ehlo_rcpt_parameters no_rcpt = {.struct_size = sizeof no_rcpt};
  for (size_t i = 0; i < ROWS(bad); i++) {
    ehlo_mail_parameters mail = no_mail;
    ehlo_rcpt_parameters rcpt = no_rcpt;
    ehlo_parameter parameter;
    ehlo_span text = guard_copy(0, bad[i].text);
    ehlo_span rest = text;
    CHECK(bad[i].rule, text, ehlo_parameter_next(&rest, UTF8, &parameter) == 1 && rest.len == 0);
    CHECK(bad[i].rule, text, read_one(&parameter, bad[i].flags, &mail, &rcpt) == EHLO_ERR_SYNTAX);
    CHECK(bad[i].rule, text, memcmp(&mail, &no_mail, sizeof mail) == 0);
    CHECK(bad[i].rule, text, memcmp(&rcpt, &no_rcpt, sizeof rcpt) == 0);
  }
}

/* Fronts of what is good are read or refused, and nothing is looked at behind them. */
static void front_parts_end_where_they_end(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(good); i++) {
    for (size_t length = 0; length < good[i].text.len; length++) {
      ehlo_mail_parameters mail;
      ehlo_rcpt_parameters rcpt;
      ehlo_span text = guard_copy(0, front(good[i].text, length));
      int result = read_list(text, good[i].flags, &mail, &rcpt);
      CHECK(good[i].rule, text, result == EHLO_OK || result == EHLO_ERR_SYNTAX || result == EHLO_ERR_NOT_OFFERED);
    }
  }
}

/* ---- lengths ---- */

/* `before`, `count` times `unit`, `after`. */
static ehlo_span repeated(const char *before, const char *unit, size_t count, const char *after)
{
  static char text[8192];
  size_t at = strlen(before);
  memcpy(text, before, at);
  for (; count > 0; count--) {
    memcpy(text + at, unit, strlen(unit));
    at += strlen(unit);
  }
  memcpy(text + at, after, strlen(after));
  return guard_copy(0, (ehlo_span){text, at + strlen(after)});
}

static void lengths_are_as_the_rfcs_say(void **state)
{
  (void)state;
  static const struct {
    const char *rule, *before, *unit, *after;
    size_t most; /* of `unit` */
  } rows[] = {
      {"S-DSN-08", "ENVID=", "x", "", 100},
      {"S-DSN-08", "ENVID=x", "+20", "", 33},
      {"S-DSN-08", "ORCPT=rfc822;", "x", "", 493},
      {"S-DSN-08", "ORCPT=rfc822;xx", "+2B", "@a", 163},
      {"S-DSN-08", "ORCPT=utf-8;", "x", "@a", 492},
      {"S-DSN-08", "ORCPT=utf-8;\\x{1F600}", "x", "@a", 483},
      {"P-NSOL-01", "SOLICIT=a", "b", "", 999},
      {"P-NSOL-01", "SOLICIT=b", ",a", "c", 499},
      {"P-MISC-01", "TRANSID=<", "x", "@a>", 76},
      /* Of a mailbox, decoded: far more than a path may have. */
      {"P-AUTH-29", "AUTH=", "x", "@a", 498},
      {"P-AUTH-29", "AUTH=", "+2B", "@a", 498},
      {"P-MISC-04", "SUBMITTER=", "+3D", "@a", 498},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    for (size_t more = 0; more < 3; more++) {
      ehlo_mail_parameters mail;
      ehlo_rcpt_parameters rcpt;
      ehlo_span text = repeated(rows[i].before, rows[i].unit, rows[i].most + more, rows[i].after);
      CHECK(rows[i].rule, text, read_list(text, 0, &mail, &rcpt) == (more == 0 ? EHLO_OK : EHLO_ERR_SYNTAX));
    }
  }
  ehlo_mail_parameters mail;
  ehlo_rcpt_parameters rcpt;
  ehlo_span text = repeated("MTRK=", "QUJD", 1000, ""); /* has no limit but the line's */
  CHECK("P-MISC-03", text, read_list(text, 0, &mail, &rcpt) == EHLO_OK && mail.mtrk.len == 4000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_values_are_read_and_told_again),
      cmocka_unit_test(bad_values_are_refused_and_change_nothing),
      cmocka_unit_test(front_parts_end_where_they_end),
      cmocka_unit_test(lengths_are_as_the_rfcs_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
