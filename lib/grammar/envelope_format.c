/* envelope_format.c: the parameters of MAIL and RCPT, from a struct into a list. Floor: grammar.
 *
 * Apart from reading them, which a server links without this.
 */
#include "envelope.h"

#include "../bytes/buffer.h"
#include "../bytes/span.h"
#include "calendar.h"
#include "table.h"
#include "value.h"

/* ---- what may go out ---- */

static int mail_numbers_fit(const ehlo_mail_parameters *parameters)
{
  int32_t least = parameters->by_mode == EHLO_BY_RETURN ? 1 : -NINE_DIGITS;
  return parameters->body <= EHLO_BODY_BINARYMIME && parameters->ret <= EHLO_RET_HDRS &&
         (!parameters->has_priority || (parameters->priority >= -9 && parameters->priority <= 9)) &&
         parameters->by_mode <= EHLO_BY_RETURN &&
         (parameters->by_mode == EHLO_BY_NONE ||
          (parameters->by_time >= least && parameters->by_time <= NINE_DIGITS)) &&
         parameters->hold_for <= NINE_DIGITS &&
         (!parameters->has_hold_until || calendar_holds(parameters->hold_until)) &&
         (parameters->mtrk.len == 0 || !parameters->has_mtrk_timeout || parameters->mtrk_timeout <= NINE_DIGITS);
}

static int mail_spans_fit(const ehlo_mail_parameters *parameters, uint32_t flags)
{
  return (parameters->envid.len == 0 || ehlo_is_envid(parameters->envid)) &&
         (parameters->auth.len == 0 || ehlo_is_auth(parameters->auth, flags)) &&
         (parameters->solicit.len == 0 || ehlo_is_solicit(parameters->solicit)) &&
         (parameters->mtrk.len == 0 || ehlo_is_certifier(parameters->mtrk)) &&
         (parameters->submitter.len == 0 || ehlo_is_submitter(parameters->submitter, flags)) &&
         (parameters->transid.len == 0 || ehlo_is_transid(parameters->transid));
}

static int rcpt_numbers_fit(const ehlo_rcpt_parameters *parameters)
{
  uint32_t all = EHLO_NOTIFY_SUCCESS | EHLO_NOTIFY_FAILURE | EHLO_NOTIFY_DELAY;
  return (parameters->notify == EHLO_NOTIFY_NEVER || (parameters->notify & ~all) == 0) &&
         parameters->rrvs <= EHLO_RRVS_REJECT &&
         (parameters->rrvs == EHLO_RRVS_NONE || calendar_holds(parameters->rrvs_time));
}

static int rcpt_spans_fit(const ehlo_rcpt_parameters *parameters, uint32_t flags)
{
  return (parameters->orcpt_type.len == 0 && parameters->orcpt_address.len == 0) ||
         ehlo_is_orcpt(parameters->orcpt_type, parameters->orcpt_address, flags);
}

/* Takes the others, of which those that the library knows keep their own rules and say nothing twice, into the fields;
 * 0 if they are no such list. */
static int take_mail_others(ehlo_mail_parameters *all, uint32_t flags)
{
  ehlo_parameter other;
  int result;
  while ((result = ehlo_parameter_next(&all->others, flags, &other)) == 1) {
    result = ehlo_mail_parameter_read(&other, flags, all);
    if (result != EHLO_OK && result != EHLO_ERR_NOT_OFFERED) {
      return 0;
    }
  }
  return result == 0;
}

static int take_rcpt_others(ehlo_rcpt_parameters *all, uint32_t flags)
{
  ehlo_parameter other;
  int result;
  while ((result = ehlo_parameter_next(&all->others, flags, &other)) == 1) {
    result = ehlo_rcpt_parameter_read(&other, flags, all);
    if (result != EHLO_OK && result != EHLO_ERR_NOT_OFFERED) {
      return 0;
    }
  }
  return result == 0;
}

/* ---- formatting ---- */

static void write_flag(struct writer *writer, const char *text, int is_said)
{
  if (is_said) {
    write_string(writer, text);
  }
}

static void write_value(struct writer *writer, const char *before, ehlo_span value)
{
  if (value.len > 0) {
    write_string(writer, before);
    write_span(writer, value);
  }
}

static void write_signed(struct writer *writer, int32_t number)
{
  write_flag(writer, "-", number < 0);
  write_number(writer, (uint64_t)(number < 0 ? -number : number), 1);
}

static void write_mail(struct writer *writer, const ehlo_mail_parameters *parameters)
{
  static const char bodies[][12] = {"", "7BIT", "8BITMIME", "BINARYMIME"};
  if (parameters->has_size) {
    write_string(writer, " SIZE=");
    write_number(writer, parameters->size, 1);
  }
  write_value(writer, " BODY=", ehlo_span_of(bodies[parameters->body]));
  write_flag(writer, " SMTPUTF8", parameters->smtputf8 != 0);
  write_flag(writer, " RET=FULL", parameters->ret == EHLO_RET_FULL);
  write_flag(writer, " RET=HDRS", parameters->ret == EHLO_RET_HDRS);
  write_value(writer, " ENVID=", parameters->envid);
  write_value(writer, " AUTH=", parameters->auth);
  write_flag(writer, " REQUIRETLS", parameters->requiretls != 0);
  if (parameters->has_priority) {
    write_string(writer, " MT-PRIORITY=");
    write_signed(writer, parameters->priority);
  }
  if (parameters->by_mode != EHLO_BY_NONE) {
    write_string(writer, " BY=");
    write_signed(writer, parameters->by_time);
    write_string(writer, parameters->by_mode == EHLO_BY_NOTIFY ? ";N" : ";R");
    write_flag(writer, "T", parameters->by_trace != 0);
  }
  if (parameters->hold_for != 0) {
    write_string(writer, " HOLDFOR=");
    write_number(writer, parameters->hold_for, 1);
  }
  if (parameters->has_hold_until) {
    write_string(writer, " HOLDUNTIL=");
    ehlo_write_date_time(writer, parameters->hold_until);
  }
  write_value(writer, " SOLICIT=", parameters->solicit);
  write_value(writer, " MTRK=", parameters->mtrk);
  if (parameters->mtrk.len > 0 && parameters->has_mtrk_timeout) {
    write_octet(writer, ':');
    write_number(writer, parameters->mtrk_timeout, 1);
  }
  write_value(writer, " SUBMITTER=", parameters->submitter);
  write_flag(writer, " CONPERM", parameters->conperm != 0);
  write_value(writer, " TRANSID=", parameters->transid);
  write_value(writer, " ", parameters->others);
}

int ehlo_format_mail_parameters(const ehlo_mail_parameters *parameters, uint32_t flags, char *buffer, size_t size,
                                size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (parameters == NULL || buffer == NULL || parameters->struct_size < sizeof *parameters ||
      !mail_numbers_fit(parameters)) {
    return EHLO_ERR_ARGUMENT;
  }
  ehlo_mail_parameters all = *parameters;
  if (!mail_spans_fit(parameters, flags) || !take_mail_others(&all, flags)) {
    return EHLO_ERR_TEXT;
  }
  if (!ehlo_mail_parameters_agree(&all)) {
    return EHLO_ERR_ARGUMENT;
  }
  struct writer writer = writer_on(buffer, size);
  write_mail(&writer, parameters);
  return writer_end(&writer, length);
}

static void write_notify(struct writer *writer, uint32_t notify)
{
  static const char names[][8] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
  const char *before = " NOTIFY=";
  for (unsigned bit = 0; bit < sizeof names / sizeof *names; bit++) {
    if ((notify >> bit & 1) != 0) {
      write_string(writer, before);
      write_string(writer, names[bit]);
      before = ",";
    }
  }
}

static void write_rcpt(struct writer *writer, const ehlo_rcpt_parameters *parameters)
{
  write_notify(writer, parameters->notify);
  write_flag(writer, " CONNEG", parameters->conneg != 0);
  if (parameters->orcpt_type.len > 0) {
    write_value(writer, " ORCPT=", parameters->orcpt_type);
    write_octet(writer, ';');
    write_span(writer, parameters->orcpt_address);
  }
  if (parameters->rrvs != EHLO_RRVS_NONE) {
    write_string(writer, " RRVS=");
    ehlo_write_date_time(writer, parameters->rrvs_time);
    write_flag(writer, ";C", parameters->rrvs == EHLO_RRVS_CONTINUE);
    write_flag(writer, ";R", parameters->rrvs == EHLO_RRVS_REJECT && parameters->rrvs_action);
  }
  write_value(writer, " ", parameters->others);
}

int ehlo_format_rcpt_parameters(const ehlo_rcpt_parameters *parameters, uint32_t flags, char *buffer, size_t size,
                                size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (parameters == NULL || buffer == NULL || parameters->struct_size < sizeof *parameters ||
      !rcpt_numbers_fit(parameters)) {
    return EHLO_ERR_ARGUMENT;
  }
  ehlo_rcpt_parameters all = *parameters;
  if (!rcpt_spans_fit(parameters, flags) || !take_rcpt_others(&all, flags)) {
    return EHLO_ERR_TEXT;
  }
  struct writer writer = writer_on(buffer, size);
  write_rcpt(&writer, parameters);
  return writer_end(&writer, length);
}
