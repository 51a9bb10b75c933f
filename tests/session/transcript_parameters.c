/* transcript_parameters.c: the values of the parameters of MAIL and RCPT, in words that a transcript can expect. */
#include "transcript.h"

static void print_flag(struct text *out, const char *name, uint32_t is_said)
{
  text_print(out, "%s%s", is_said ? " " : "", is_said ? name : "");
}

static void print_time(struct text *out, const char *label, int64_t time)
{
  char date[32];
  size_t length;
  if (ehlo_format_date_time(time, date, sizeof date, &length) != EHLO_OK) {
    length = 0;
  }
  text_print(out, " %s%.*s", label, (int)length, date);
}

static void print_delivery(struct text *out, const ehlo_mail_parameters *mail)
{
  static const char *const modes[] = {"?", "N", "R"};
  if (mail->has_priority) {
    text_print(out, " priority=%d", mail->priority);
  }
  if (mail->by_mode != EHLO_BY_NONE) {
    text_print(out, " by=%d;%s%s", mail->by_time, name_in(modes, 3, mail->by_mode), mail->by_trace ? "T" : "");
  }
  if (mail->hold_for != 0) {
    text_print(out, " hold-for=%u", mail->hold_for);
  }
  if (mail->has_hold_until) {
    print_time(out, "hold-until=", mail->hold_until);
  }
}

void print_mail_parameters(struct text *out, const ehlo_mail_parameters *mail)
{
  static const char *const bodies[] = {"none", "7BIT", "8BITMIME", "BINARYMIME"};
  static const char *const rets[] = {"none", "FULL", "HDRS"};
  if (mail->has_size) {
    text_print(out, " size=%llu", (unsigned long long)mail->size);
  }
  if (mail->body != EHLO_BODY_NONE) {
    text_print(out, " body=%s", name_in(bodies, 4, mail->body));
  }
  print_flag(out, "smtputf8", mail->smtputf8);
  if (mail->ret != EHLO_RET_NONE) {
    text_print(out, " ret=%s", name_in(rets, 3, mail->ret));
  }
  print_span(out, "envid=", mail->envid);
  print_span(out, "auth=", mail->auth);
  print_flag(out, "requiretls", mail->requiretls);
  print_delivery(out, mail);
  print_span(out, "solicit=", mail->solicit);
  print_span(out, "mtrk=", mail->mtrk);
  if (mail->has_mtrk_timeout) {
    text_print(out, " mtrk-timeout=%u", mail->mtrk_timeout);
  }
  print_span(out, "submitter=", mail->submitter);
  print_flag(out, "conperm", mail->conperm);
  print_span(out, "transid=", mail->transid);
  print_span(out, "others=", mail->others);
}

void print_rcpt_parameters(struct text *out, const ehlo_rcpt_parameters *rcpt)
{
  static const char *const conditions[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
  const char *before = " notify=";
  for (unsigned i = 0; i < 32; i++) {
    if ((rcpt->notify >> i & 1) != 0) {
      text_print(out, "%s%s", before, name_in(conditions, 4, i));
      before = ",";
    }
  }
  print_flag(out, "conneg", rcpt->conneg);
  if (rcpt->orcpt_type.len > 0) {
    print_span(out, "orcpt=", rcpt->orcpt_type);
    text_print(out, ";");
    text_add_escaped(out, rcpt->orcpt_address);
  }
  if (rcpt->rrvs != EHLO_RRVS_NONE) {
    text_print(out, " rrvs=%s", rcpt->rrvs == EHLO_RRVS_CONTINUE ? "C" : rcpt->rrvs == EHLO_RRVS_REJECT ? "R" : "?");
    print_flag(out, "action", rcpt->rrvs_action);
    print_time(out, "rrvs-time=", rcpt->rrvs_time);
  }
  print_span(out, "others=", rcpt->others);
}
