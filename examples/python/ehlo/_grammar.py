"""The grammar alone, for scripts: one function for each rule, on what is given, with no session behind it.

What is parsed may be str or bytes; what does not match raises GrammarError. Parsers take the whole of the text, but for
those that tell how long the match at the front is.
"""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

from ._binding import Spans, Text, decode, encode, ffi, fixed, lib, octets_of, text_of
from .enums import VERBS, Extension, Mechanism, ParameterId, Parse, Verb
from .errors import ArgumentError, GrammarError, check
from .values import (
    Credentials,
    Domain,
    Enhanced,
    MailParameters,
    Path,
    RcptParameters,
    credentials_in,
    credentials_out,
    domain_of,
    enhanced_of,
    mail_parameters_in,
    mail_parameters_out,
    parts_of,
    rcpt_parameters_in,
    rcpt_parameters_out,
)

_NONE = Parse(0)


def _format(function: Any, *arguments: Any) -> bytes:
    """Calls a formatter with room enough, asking for the room if it is not."""
    length = ffi.new("size_t *")
    size = 512
    while True:
        buffer = ffi.new("char[]", size)
        try:
            code = function(*arguments, buffer, size, length)
        except OverflowError:
            raise ArgumentError() from None
        if code != lib.EHLO_ERR_BUFFER:
            check(code)
            octets: bytes = ffi.unpack(buffer, length[0]) if length[0] else b""
            return octets
        size = length[0]


# ---- paths, mailboxes, domains ----


def _path(text: Text, flags: Parse, bare: bool) -> Path:
    octets = encode(text)
    parts, used, _ = parts_of(octets, int(flags), bare)
    if used != len(octets):
        raise GrammarError()
    path = Path(octets)
    path._parts = parts
    return path


def parse_path(text: Text, flags: Parse = _NONE) -> Path:
    """A path in its angle brackets: "<user@example.org>", "<>", "<Postmaster>"."""
    return _path(text, flags, False)


def parse_mailbox(text: Text, flags: Parse = _NONE) -> Path:
    """A mailbox without brackets: "user@example.org"."""
    return _path(text, flags, True)


def path_length(text: Text, flags: Parse = _NONE) -> int:
    """How long the path at the front of `text` is, in octets; what follows it is the caller's concern."""
    return parts_of(encode(text), int(flags), False)[1]


def parse_domain(text: Text, flags: Parse = _NONE) -> Domain:
    """A domain or address literal: "example.org", "[192.0.2.1]"."""
    spans, domain, used = Spans(), ffi.new("ehlo_domain *"), ffi.new("size_t *")
    span = spans.new(text)
    check(lib.ehlo_parse_domain(span, int(flags), domain, used))
    if used[0] != span.len:
        raise GrammarError()
    return domain_of(domain)


def local_part_decode(raw: Text) -> str:
    """The local-part without its quoting."""
    spans = Spans()
    return decode(_format(lib.ehlo_local_part_decode, spans.new(raw)))


def local_part_encode(decoded: Text, flags: Parse = _NONE) -> str:
    """The other way, with the least quoting."""
    spans = Spans()
    return decode(_format(lib.ehlo_local_part_encode, spans.new(decoded), int(flags)))


def local_part_equal(a: Text, b: Text) -> bool:
    """Do two local-parts as spelt name the same mailbox? Their case counts."""
    spans = Spans()
    return bool(lib.ehlo_local_part_equal(spans.new(a), spans.new(b)))


def format_path(local_part: Text, domain: Text, flags: Parse = _NONE) -> str:
    """<local-part@domain> from a decoded local-part; both empty give "<>"."""
    spans = Spans()
    return decode(_format(lib.ehlo_format_path, spans.new(local_part), spans.new(domain), int(flags)))


# ---- command lines ----


class Command(NamedTuple):
    """A command line: the verb, how it is spelt, what follows it; None if nothing does."""

    verb: Verb
    name: str
    argument: str | None


def parse_command(line: Text) -> Command:
    """Takes a command line, without its CRLF, apart."""
    spans, command = Spans(), ffi.new("ehlo_command *")
    check(lib.ehlo_parse_command(spans.new(line), command))
    argument = text_of(command.argument) if command.has_argument else None
    return Command(VERBS[command.verb], text_of(command.name), argument)


def parse_chunk(argument: Text) -> tuple[int, bool]:
    """The argument of BDAT: the size, and whether it is the last."""
    spans, size, last = Spans(), ffi.new("uint64_t *"), ffi.new("uint32_t *")
    check(lib.ehlo_parse_chunk(spans.new(argument), size, last))
    return size[0], bool(last[0])


def parse_burl(argument: Text) -> tuple[str, bool]:
    """The argument of BURL: the URL, and whether it is the last."""
    spans, url, last = Spans(), ffi.new("ehlo_span *"), ffi.new("uint32_t *")
    check(lib.ehlo_parse_burl(spans.new(argument), url, last))
    return text_of(url), bool(last[0])


def parse_number(text: Text, max_digits: int = 20) -> int:
    """Decimal digits and nothing else."""
    spans, number = Spans(), ffi.new("uint64_t *")
    check(lib.ehlo_parse_number(spans.new(text), max_digits, number))
    return number[0]  # type: ignore[no-any-return]


# ---- parameters, attributes ----


class Parameter(NamedTuple):
    """A parameter of MAIL or RCPT as it is spelt; `value` is None without a "="."""

    id: ParameterId
    keyword: str
    value: str | None


def _parameters(text: Text, flags: Parse) -> Iterator[Any]:
    spans, rest, parameter = Spans(), ffi.new("ehlo_span *"), ffi.new("ehlo_parameter *")
    spans.set(rest, text)
    while (code := lib.ehlo_parameter_next(rest, int(flags), parameter)) == 1:
        yield parameter
    check(code)


def parse_parameters(text: Text, flags: Parse = _NONE) -> list[Parameter]:
    """A list of parameters, one space between its members, as they are spelt."""
    return [
        Parameter(ParameterId(each.id), text_of(each.keyword), text_of(each.value) if each.has_value else None)
        for each in _parameters(text, flags)
    ]


def _read(text: Text, flags: Parse, struct: Any, read: Any) -> str:
    """Reads what it knows into `struct`, and returns the rest."""
    others = []
    for parameter in _parameters(text, flags):
        code = read(parameter, int(flags), struct)
        if code == lib.EHLO_ERR_NOT_OFFERED:
            others.append(text_of(parameter.raw))
        else:
            check(code)
    return " ".join(others)


def parse_mail_parameters(text: Text, flags: Parse = _NONE) -> MailParameters:
    """The parameters of MAIL and what they mean; those that nobody knows are in `others`."""
    octets = encode(text)
    struct = ffi.new("ehlo_mail_parameters *")
    struct.struct_size = ffi.sizeof("ehlo_mail_parameters")
    others = _read(octets, flags, struct, lib.ehlo_mail_parameter_read)
    values = mail_parameters_out(struct)
    values.others = others
    return values


def parse_rcpt_parameters(text: Text, flags: Parse = _NONE) -> RcptParameters:
    """The parameters of RCPT and what they mean; those that nobody knows are in `others`."""
    octets = encode(text)
    struct = ffi.new("ehlo_rcpt_parameters *")
    struct.struct_size = ffi.sizeof("ehlo_rcpt_parameters")
    others = _read(octets, flags, struct, lib.ehlo_rcpt_parameter_read)
    values = rcpt_parameters_out(struct)
    values.others = others
    return values


def format_mail_parameters(parameters: MailParameters, flags: Parse = _NONE) -> str:
    """All that is said, a space before each."""
    struct, spans = mail_parameters_in(parameters)
    text = decode(_format(lib.ehlo_format_mail_parameters, struct, int(flags)))
    del spans
    return text


def format_rcpt_parameters(parameters: RcptParameters, flags: Parse = _NONE) -> str:
    """All that is said, a space before each."""
    struct, spans = rcpt_parameters_in(parameters)
    text = decode(_format(lib.ehlo_format_rcpt_parameters, struct, int(flags)))
    del spans
    return text


def parse_attributes(text: Text) -> dict[str, str]:
    """The attributes of XCLIENT and XFORWARD: names in upper case, values decoded. One that stands twice is an error."""
    spans, rest, attribute = Spans(), ffi.new("ehlo_span *"), ffi.new("ehlo_attribute *")
    spans.set(rest, text)
    attributes: dict[str, str] = {}
    while (code := lib.ehlo_attribute_next(rest, attribute)) == 1:
        name = text_of(attribute.name).upper()
        if name in attributes:
            raise GrammarError(f"{name} stands twice")
        attributes[name] = decode(xtext_decode(octets_of(attribute.value)))
    check(code)
    return attributes


def parse_date_time(text: Text) -> int:
    """A date-time of RFC 3339 without fractions, as seconds since 1970-01-01 00:00 UTC."""
    spans, time = Spans(), ffi.new("int64_t *")
    check(lib.ehlo_parse_date_time(spans.new(text), time))
    return time[0]  # type: ignore[no-any-return]


def format_date_time(time: int) -> str:
    """The other way, in UTC."""
    return decode(_format(lib.ehlo_format_date_time, time))


# ---- replies ----


class ReplyLine(NamedTuple):
    """A line of a reply: `last` if no further line follows."""

    code: int
    last: bool
    text: str


class Reply(NamedTuple):
    """A whole reply. `enhanced` has been taken off the texts of the lines, where every line begins with the same."""

    code: int
    enhanced: Enhanced | None
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def parse_reply_line(line: Text) -> ReplyLine:
    """One line of a reply, without its CRLF."""
    spans, reply = Spans(), ffi.new("ehlo_reply_line *")
    check(lib.ehlo_parse_reply_line(spans.new(line), reply))
    return ReplyLine(reply.code, bool(reply.last), text_of(reply.text))


def parse_reply(text: Text) -> Reply:
    """A whole reply of one line or several, each with its CRLF (that of the last may be missing)."""
    octets = encode(text)
    lines = [parse_reply_line(line) for line in octets.removesuffix(b"\r\n").split(b"\r\n")]
    shape = [(line.code, line.last) for line in lines]
    if shape != [(lines[0].code, False)] * (len(lines) - 1) + [(lines[0].code, True)]:
        raise GrammarError()
    texts: list[str] = []
    codes: set[Enhanced | None] = set()
    for line in lines:
        try:
            enhanced, used = parse_enhanced(line.text)
            texts.append(decode(encode(line.text)[used:]))
            codes.add(enhanced)
        except GrammarError:
            codes.add(None)
    if len(codes) == 1 and (common := codes.pop()) is not None:
        return Reply(lines[0].code, common, tuple(texts))
    return Reply(lines[0].code, None, tuple(line.text for line in lines))


def parse_enhanced(text: Text) -> tuple[Enhanced, int]:
    """The enhanced code at the front of `text`, and how many octets it and the white space behind it take."""
    spans, enhanced, used = Spans(), ffi.new("ehlo_enhanced *"), ffi.new("size_t *")
    check(lib.ehlo_parse_enhanced(spans.new(text), enhanced, used))
    return Enhanced(enhanced.status_class, enhanced.subject, enhanced.detail), used[0]


def format_reply_line(
    code: int, text: Text = "", enhanced: str | Enhanced | None = None, last: bool = True, flags: Parse = _NONE
) -> str:
    """One line of a reply, CRLF included."""
    spans, pointer = Spans(), ffi.NULL
    if enhanced is not None:
        value = enhanced if isinstance(enhanced, Enhanced) else _whole(enhanced)
        try:
            pointer = ffi.new("ehlo_enhanced *", tuple(value))
        except OverflowError:
            raise ArgumentError() from None
    return decode(_format(lib.ehlo_format_reply_line, code, int(last), pointer, spans.new(text), int(flags)))


def _whole(text: str) -> Enhanced:
    enhanced, used = parse_enhanced(text)
    if used != len(text):
        raise GrammarError()
    return enhanced


def reply_is_temporary(code: int) -> bool:
    """4yz: it may succeed if tried again unchanged."""
    return bool(lib.ehlo_reply_is_temporary(code))


def reply_is_permanent(code: int) -> bool:
    """5yz: it will not."""
    return bool(lib.ehlo_reply_is_permanent(code))


def reply_default(code: int) -> tuple[str, Enhanced | None]:
    """The default text of a reply code, and its default enhanced code. An empty text for one that is unknown."""
    enhanced = ffi.new("ehlo_enhanced *")
    text = text_of(lib.ehlo_reply_default(code, enhanced))
    return text, enhanced_of(enhanced)


# ---- codecs ----


def base64_encode(octets: bytes) -> str:
    spans = Spans()
    return decode(_format(lib.ehlo_base64_encode, spans.new(octets)))


def base64_decode(text: Text) -> bytes:
    """With padding, and with nothing outside the alphabet let in or ignored."""
    spans = Spans()
    return _format(lib.ehlo_base64_decode, spans.new(text))


def xtext_encode(octets: Text) -> str:
    """RFC 3461 4."""
    spans = Spans()
    return decode(_format(lib.ehlo_xtext_encode, spans.new(octets)))


def xtext_decode(text: Text) -> bytes:
    spans = Spans()
    return _format(lib.ehlo_xtext_decode, spans.new(text))


def utf8_valid(octets: bytes) -> int:
    """How many octets at the front are well-formed UTF-8?"""
    spans = Spans()
    return lib.ehlo_utf8_valid(spans.new(octets))  # type: ignore[no-any-return]


def equal_nocase(a: Text, b: Text) -> bool:
    """The same, but for the case of ASCII letters?"""
    spans = Spans()
    return bool(lib.ehlo_span_equal_nocase(spans.new(a), spans.new(b)))


# ---- trace fields ----


def format_received(
    *,
    by: Text,
    with_: Text,
    time: int,
    utc_offset: int = 0,
    hello: Text = "",
    client_name: Text = "",
    client_address: Text = "",
    id: Text = "",
    recipient: Text = "",
    utf8: bool = False,
) -> str:
    """A Received field, folded, CRLF included. `time` is in seconds since 1970, `utc_offset` in minutes east; `recipient`
    is exactly one path, in brackets; `client_address` a literal; `with_` what `Server.transmission_type` tells."""
    spans, received = Spans(), ffi.new("ehlo_received *")
    texts = {
        "by": by,
        "with": with_,
        "hello": hello,
        "client_name": client_name,
        "client_address": client_address,
        "id": id,
        "recipient": recipient,
    }
    for name, text in texts.items():
        spans.set(getattr(received, name), text)
    try:
        received.time, received.utc_offset, received.utf8 = time, utc_offset, int(utf8)
    except OverflowError:
        raise ArgumentError() from None
    return decode(_format(lib.ehlo_format_received, received))


def format_return_path(path: Text, flags: Parse = _NONE) -> str:
    """Return-Path: and a reverse-path as it is spelt, brackets included; CRLF included."""
    spans = Spans()
    return decode(_format(lib.ehlo_format_return_path, spans.new(path), int(flags)))


# ---- SASL ----


def sasl_decode(mechanism: Mechanism, message: bytes) -> Credentials:
    """Reads the one message of a client by PLAIN, EXTERNAL, XOAUTH2 or OAUTHBEARER, decoded from base64 already."""
    spans, credentials = Spans(), ffi.new("ehlo_credentials *")
    credentials.struct_size = ffi.sizeof("ehlo_credentials")
    check(lib.ehlo_sasl_decode(mechanism, spans.new(message), credentials))
    values = credentials_out(credentials)
    values.mechanism = mechanism
    return values


def sasl_encode(credentials: Credentials) -> bytes:
    """The other way."""
    struct, spans = credentials_in(credentials)
    message = _format(lib.ehlo_sasl_encode, struct)
    del spans
    return message


def sasl_find(name: Text) -> Mechanism:
    """The mechanism of a name, in any case; Mechanism.OTHER if it is none of ours."""
    spans = Spans()
    return Mechanism(lib.ehlo_sasl_find(spans.new(name)))


def sasl_name(mechanism: Mechanism) -> str:
    """The name as EHLO lists it."""
    return fixed(lib.ehlo_sasl_name(mechanism))


def sasl_is_name(name: Text) -> bool:
    """Can this be the name of a mechanism?"""
    spans = Spans()
    return bool(lib.ehlo_sasl_is_name(spans.new(name)))


# ---- names ----


def verb_name(verb: int) -> str:
    """The verb as it stands on the wire, or a name for logs."""
    return fixed(lib.ehlo_verb_name(verb))


def extension_keyword(extension: int | Extension) -> str:
    """The EHLO keyword of an extension: "8BITMIME"."""
    return fixed(lib.ehlo_extension_keyword(extension))


def end_name(reason: int) -> str:
    """Why a transaction ended, for logs."""
    return fixed(lib.ehlo_end_name(reason))


def violation_name(kind: int) -> str:
    """What a peer did wrong, for logs."""
    return fixed(lib.ehlo_violation_name(kind))


def event_name(number: int) -> str:
    """The name of a server's event, for logs."""
    return fixed(lib.ehlo_event_name(number))


def client_event_name(number: int) -> str:
    """The name of a client's event, for logs."""
    return fixed(lib.ehlo_client_event_name(number))
