/* envelope.c: the parameters of MAIL and RCPT, from a list into a struct. Floor: grammar.
 *
 * value.c knows the values, parameters.def which command has which; here is where each goes, once.
 */
#include "envelope.h"

#include "../bytes/span.h"
#include "table.h"
#include "value.h"

/* Takes one that must not be there yet, and that stays as it is spelt. */
static int take_span(ehlo_span value, int is_good, ehlo_span *field)
{
  if (!is_good || field->len > 0) {
    return 0;
  }
  *field = value;
  return 1;
}

/* The same for one without a value. */
static int take_flag(uint32_t *field)
{
  if (*field) {
    return 0;
  }
  *field = 1;
  return 1;
}

static int has_hold(const ehlo_mail_parameters *parameters)
{
  return parameters->hold_for != 0 || parameters->has_hold_until;
}

static int take_mail(uint32_t id, ehlo_span value, uint32_t flags, ehlo_mail_parameters *into)
{
  switch (id) {
  case EHLO_PARAMETER_SIZE: return !into->has_size && ehlo_read_size(value, into);
  case EHLO_PARAMETER_BODY: return into->body == EHLO_BODY_NONE && ehlo_read_body(value, into);
  case EHLO_PARAMETER_SMTPUTF8: return take_flag(&into->smtputf8);
  case EHLO_PARAMETER_RET: return into->ret == EHLO_RET_NONE && ehlo_read_ret(value, into);
  case EHLO_PARAMETER_ENVID: return take_span(value, ehlo_is_envid(value), &into->envid);
  case EHLO_PARAMETER_AUTH: return take_span(value, ehlo_is_auth(value, flags), &into->auth);
  case EHLO_PARAMETER_REQUIRETLS: return take_flag(&into->requiretls);
  case EHLO_PARAMETER_MT_PRIORITY: return !into->has_priority && ehlo_read_priority(value, into);
  case EHLO_PARAMETER_BY: return into->by_mode == EHLO_BY_NONE && ehlo_read_by(value, into);
  case EHLO_PARAMETER_HOLDFOR: return !has_hold(into) && ehlo_read_hold_for(value, into);
  case EHLO_PARAMETER_HOLDUNTIL: return !has_hold(into) && ehlo_read_hold_until(value, into);
  case EHLO_PARAMETER_SOLICIT: return take_span(value, ehlo_is_solicit(value), &into->solicit);
  case EHLO_PARAMETER_MTRK: return into->mtrk.len == 0 && ehlo_read_mtrk(value, into);
  case EHLO_PARAMETER_SUBMITTER: return take_span(value, ehlo_is_submitter(value, flags), &into->submitter);
  case EHLO_PARAMETER_CONPERM: return take_flag(&into->conperm);
  case EHLO_PARAMETER_TRANSID: return take_span(value, ehlo_is_transid(value), &into->transid);
  default: return 0;
  }
}

static int take_rcpt(uint32_t id, ehlo_span value, uint32_t flags, ehlo_rcpt_parameters *into)
{
  switch (id) {
  case EHLO_PARAMETER_NOTIFY: return into->notify == EHLO_NOTIFY_NONE && ehlo_read_notify(value, into);
  case EHLO_PARAMETER_ORCPT: return into->orcpt_type.len == 0 && ehlo_read_orcpt(value, flags, into);
  case EHLO_PARAMETER_RRVS: return into->rrvs == EHLO_RRVS_NONE && ehlo_read_rrvs(value, into);
  case EHLO_PARAMETER_CONNEG: return take_flag(&into->conneg);
  default: return 0;
  }
}

/* Is it one of this command's, and with a value where it needs one and only there? */
static int check_parameter(const ehlo_parameter *parameter, uint32_t verb)
{
  if (parameter->id == EHLO_PARAMETER_UNKNOWN || parameter->id >= EHLO_PARAMETER_COUNT ||
      ehlo_parameters[parameter->id].verb != verb) {
    return EHLO_ERR_NOT_OFFERED;
  }
  return (ehlo_parameters[parameter->id].value == VALUE_SOME) == (parameter->has_value != 0) ? EHLO_OK
                                                                                             : EHLO_ERR_SYNTAX;
}

int ehlo_mail_parameter_read(const ehlo_parameter *parameter, uint32_t flags, ehlo_mail_parameters *into)
{
  if (parameter == NULL || into == NULL || into->struct_size < sizeof *into) {
    return EHLO_ERR_ARGUMENT;
  }
  int result = check_parameter(parameter, EHLO_VERB_MAIL);
  if (result == EHLO_OK && !take_mail(parameter->id, parameter->value, flags, into)) {
    result = EHLO_ERR_SYNTAX;
  }
  return result;
}

int ehlo_rcpt_parameter_read(const ehlo_parameter *parameter, uint32_t flags, ehlo_rcpt_parameters *into)
{
  if (parameter == NULL || into == NULL || into->struct_size < sizeof *into) {
    return EHLO_ERR_ARGUMENT;
  }
  int result = check_parameter(parameter, EHLO_VERB_RCPT);
  if (result == EHLO_OK && !take_rcpt(parameter->id, parameter->value, flags, into)) {
    result = EHLO_ERR_SYNTAX;
  }
  return result;
}

int ehlo_mail_parameters_agree(const ehlo_mail_parameters *parameters)
{
  int late = parameters->by_mode != EHLO_BY_NONE && (int64_t)parameters->hold_for > parameters->by_time;
  return !(parameters->hold_for != 0 && (parameters->has_hold_until || late)) &&
         !(parameters->mtrk.len > 0 && parameters->envid.len == 0);
}
