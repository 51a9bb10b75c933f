/* error.c: errors and the version in words. Floor: bytes. */
#include "ehlo/base.h"

const char *ehlo_version(void)
{
  return "0.1.0";
}

int ehlo_error_is_fatal(int error)
{
  return error == EHLO_ERR_HOST;
}

const char *ehlo_strerror(int error)
{
  switch (error) {
  case EHLO_OK: return "no error";
  case EHLO_ERR_ARGUMENT: return "an argument is NULL or out of range";
  case EHLO_ERR_CONFIG: return "the config contradicts itself or has an illegal limit";
  case EHLO_ERR_MEMORY: return "the memory is too small or not aligned";
  case EHLO_ERR_VERSION: return "the memory was made by another version or machine";
  case EHLO_ERR_STATE: return "not possible in this state of the session";
  case EHLO_ERR_REENTRANT: return "not possible inside the event callback";
  case EHLO_ERR_TICKET: return "the ticket is stale";
  case EHLO_ERR_CODE: return "the code may not answer what was asked";
  case EHLO_ERR_TEXT: return "the text has octets that may not be sent";
  case EHLO_ERR_SPACE: return "no room now: drain the output and try again";
  case EHLO_ERR_SYNTAX: return "the input is not of the grammar";
  case EHLO_ERR_TOO_LONG: return "longer than the protocol or the config allows";
  case EHLO_ERR_BUFFER: return "the buffer is too small";
  case EHLO_ERR_BARE_NEWLINE: return "a CR or LF that is not part of a CRLF";
  case EHLO_ERR_HOST: return "the event callback ended the session";
  case EHLO_ERR_NOT_OFFERED: return "the server has not offered this";
  case EHLO_ERR_8BITMIME: return "octets above 127 where 8BITMIME was not agreed on";
  case EHLO_ERR_SMTPUTF8: return "UTF-8 in an address where SMTPUTF8 was not agreed on";
  case EHLO_ERR_SIZE: return "the message is larger than the server takes";
  case EHLO_ERR_REFUSED: return "the transaction has failed already";
  case EHLO_ERR_TLS: return "not without TLS";
  case EHLO_ERR_LIMIT: return "more than the server says it takes";
  default: return "unknown error";
  }
}
