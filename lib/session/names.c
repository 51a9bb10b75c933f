/* names.c: events, violations and reasons in words. Floor: session. */
#include "ehlo/client.h"
#include "ehlo/server.h"

const char *ehlo_event_name(uint32_t type)
{
  switch (type) {
  case EHLO_EVENT_CONNECT: return "CONNECT";
  case EHLO_EVENT_COMMAND: return "COMMAND";
  case EHLO_EVENT_HELLO: return "HELLO";
  case EHLO_EVENT_MAIL: return "MAIL";
  case EHLO_EVENT_RCPT: return "RCPT";
  case EHLO_EVENT_DATA: return "DATA";
  case EHLO_EVENT_BODY: return "BODY";
  case EHLO_EVENT_MESSAGE: return "MESSAGE";
  case EHLO_EVENT_RESULT: return "RESULT";
  case EHLO_EVENT_END: return "END";
  case EHLO_EVENT_VRFY: return "VRFY";
  case EHLO_EVENT_EXPN: return "EXPN";
  case EHLO_EVENT_HELP: return "HELP";
  case EHLO_EVENT_TURN: return "TURN";
  case EHLO_EVENT_UNKNOWN: return "UNKNOWN";
  case EHLO_EVENT_REPLY: return "REPLY";
  case EHLO_EVENT_VIOLATION: return "VIOLATION";
  case EHLO_EVENT_CANCEL: return "CANCEL";
  case EHLO_EVENT_STARTTLS: return "STARTTLS";
  case EHLO_EVENT_AUTH: return "AUTH";
  case EHLO_EVENT_STEP: return "STEP";
  case EHLO_EVENT_ETRN: return "ETRN";
  case EHLO_EVENT_ATRN: return "ATRN";
  case EHLO_EVENT_BURL: return "BURL";
  case EHLO_EVENT_XCLIENT: return "XCLIENT";
  case EHLO_EVENT_XFORWARD: return "XFORWARD";
  default: return "?";
  }
}

const char *ehlo_client_event_name(uint32_t type)
{
  switch (type) {
  case EHLO_CLIENT_EVENT_LINE: return "LINE";
  case EHLO_CLIENT_EVENT_REPLY: return "REPLY";
  case EHLO_CLIENT_EVENT_HELLO: return "HELLO";
  case EHLO_CLIENT_EVENT_CONTENT: return "CONTENT";
  case EHLO_CLIENT_EVENT_END: return "END";
  case EHLO_CLIENT_EVENT_VIOLATION: return "VIOLATION";
  case EHLO_CLIENT_EVENT_CHALLENGE: return "CHALLENGE";
  default: return "?";
  }
}

const char *ehlo_violation_name(uint32_t kind)
{
  switch (kind) {
  case EHLO_VIOLATION_EARLY_TALKER: return "early talker";
  case EHLO_VIOLATION_EARLY_HELLO: return "early octets behind hello";
  case EHLO_VIOLATION_BARE_NEWLINE: return "bare newline";
  case EHLO_VIOLATION_LINE_TOO_LONG: return "line too long";
  case EHLO_VIOLATION_SYNTAX: return "syntax";
  case EHLO_VIOLATION_UNKNOWN_VERB: return "unknown verb";
  case EHLO_VIOLATION_NOT_OFFERED: return "not offered";
  case EHLO_VIOLATION_SEQUENCE: return "sequence";
  case EHLO_VIOLATION_NON_ASCII: return "non-ASCII";
  case EHLO_VIOLATION_PARAMETER: return "parameter";
  case EHLO_VIOLATION_TOO_MANY_RECIPIENTS: return "too many recipients";
  case EHLO_VIOLATION_TOO_BIG: return "too big";
  case EHLO_VIOLATION_TOO_MANY_ERRORS: return "too many errors";
  case EHLO_VIOLATION_SPACE_AFTER_COLON: return "space after colon";
  case EHLO_VIOLATION_BARE_ADDRESS: return "bare address";
  case EHLO_VIOLATION_EXTRA_SPACES: return "extra spaces";
  case EHLO_VIOLATION_UNDERSCORE: return "underscore";
  case EHLO_VIOLATION_HELLO_NAME: return "hello name";
  case EHLO_VIOLATION_CONTROL: return "control character";
  case EHLO_VIOLATION_UNSOLICITED: return "unsolicited reply";
  case EHLO_VIOLATION_REPLY_CODE: return "wrong reply code";
  case EHLO_VIOLATION_REPLY_MISMATCH: return "reply code changed";
  case EHLO_VIOLATION_REPLY_TOO_LONG: return "reply too long";
  case EHLO_VIOLATION_BEFORE_TLS: return "octets before TLS";
  case EHLO_VIOLATION_SASL: return "SASL";
  default: return "?";
  }
}

const char *ehlo_end_name(uint32_t reason)
{
  switch (reason) {
  case EHLO_END_ACCEPTED: return "accepted";
  case EHLO_END_REFUSED: return "refused";
  case EHLO_END_MIXED: return "mixed";
  case EHLO_END_RESET: return "reset";
  case EHLO_END_SUPERSEDED: return "superseded";
  case EHLO_END_QUIT: return "quit";
  case EHLO_END_TOO_BIG: return "too big";
  case EHLO_END_BARE_NEWLINE: return "bare newline";
  case EHLO_END_LOST: return "lost";
  case EHLO_END_SHUTDOWN: return "shutdown";
  case EHLO_END_TIMED_OUT: return "timed out";
  case EHLO_END_FAILED: return "failed";
  default: return "?";
  }
}
