"""The grammar alone, and the codec of content."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ehlo


def test_paths() -> None:
    path = ehlo.parse_path('<@relay:"a b"@[IPv6:2001:db8::1]>')
    assert path.mailbox == '"a b"@[IPv6:2001:db8::1]' == str(path) and path.route == "@relay" and path.quoted
    assert path.local_part == '"a b"' and ehlo.local_part_decode(path.local_part) == "a b"
    assert path.domain.address == ipaddress.ip_address("2001:db8::1") and path.domain.kind is ehlo.DomainKind.IPV6
    assert ehlo.parse_path("<>").kind is ehlo.PathKind.NULL
    assert ehlo.parse_mailbox("a@b.example") == ehlo.Path(b"a@b.example")
    assert ehlo.parse_mailbox("ü@b.example", ehlo.Parse.UTF8).utf8
    for wrong in ("a@b.example", "<a@b.example> ", "<a@b.example\r\n>", "<a@-b.example>", "<ü@b.example>", ""):
        with pytest.raises(ehlo.GrammarError):
            ehlo.parse_path(wrong)
    assert ehlo.path_length("<a@b.example> SIZE=1") == 13
    assert ehlo.format_path("a b", "b.example") == '<"a b"@b.example>'
    assert ehlo.local_part_encode("a b") == '"a b"' and ehlo.local_part_equal('"ab"', "ab")
    assert str(ehlo.parse_domain("b.example")) == "b.example"
    assert ehlo.parse_domain("[192.0.2.1]").address == ipaddress.ip_address("192.0.2.1")
    with pytest.raises(ehlo.GrammarError):
        ehlo.parse_domain("b.example ")


def test_commands_and_parameters() -> None:
    assert ehlo.parse_command("rcpt TO:<a@b>") == (ehlo.Verb.RCPT, "rcpt", "TO:<a@b>")
    assert ehlo.parse_command("NOOP").argument is None
    assert ehlo.parse_chunk("10 LAST") == (10, True)
    with pytest.raises(ehlo.TooLongError):
        ehlo.parse_chunk("9" * 30)
    assert ehlo.parse_burl("imap://a/b") == ("imap://a/b", False)
    assert ehlo.parse_number("0012") == 12
    assert ehlo.parse_parameters("SIZE=1 X-A") == [
        (ehlo.ParameterId.SIZE, "SIZE", "1"),
        (ehlo.ParameterId.UNKNOWN, "X-A", None),
    ]
    mail = ehlo.MailParameters(
        size=1, ret=ehlo.Ret.FULL, envid="x", priority=-3, by_mode=ehlo.By.RETURN, by_time=60, hold_until=86400 * 365
    )
    mail.by_mode, mail.by_time = ehlo.By.NONE, 0
    text = ehlo.format_mail_parameters(mail)
    assert text.startswith(" SIZE=1 ") and ehlo.parse_mail_parameters(text[1:]) == mail
    assert ehlo.parse_mail_parameters("SIZE=1 X-A=2 X-B").others == "X-A=2 X-B"
    rcpt = ehlo.RcptParameters(notify=ehlo.Notify.NEVER, orcpt_type="rfc822", orcpt_address="a@b")
    assert ehlo.parse_rcpt_parameters(ehlo.format_rcpt_parameters(rcpt)[1:]) == rcpt
    with pytest.raises(ehlo.ArgumentError):
        ehlo.format_mail_parameters(ehlo.MailParameters(size=-1))
    with pytest.raises(ehlo.GrammarError):
        ehlo.parse_mail_parameters("SIZE=1 SIZE=2")
    assert ehlo.parse_attributes("NAME=a+20b addr=1") == {"NAME": "a b", "ADDR": "1"}
    with pytest.raises(ehlo.GrammarError):
        ehlo.parse_attributes("NAME=a name=b")


def test_replies() -> None:
    assert ehlo.parse_reply_line("250-hello") == (250, False, "hello")
    reply = ehlo.parse_reply("550-5.1.1 No\r\n550 5.1.1 such\r\n")
    assert reply == (550, (5, 1, 1), ("No", "such")) and reply.text == "No\nsuch" and str(reply.enhanced) == "5.1.1"
    assert ehlo.parse_reply("250 ok").enhanced is None
    for wrong in ("250-a\r\n251 b\r\n", "250 a\r\n250 b\r\n", "250-a\r\n", "", "99 x"):
        with pytest.raises(ehlo.GrammarError):
            ehlo.parse_reply(wrong)
    assert ehlo.format_reply_line(550, "No", "5.1.1") == "550 5.1.1 No\r\n"
    with pytest.raises(ehlo.CodeError):
        ehlo.format_reply_line(250, "No", "5.1.1")
    with pytest.raises(ehlo.TextError):
        ehlo.format_reply_line(250, "a\r\nb")
    assert ehlo.reply_is_temporary(451) and ehlo.reply_is_permanent(550) and not ehlo.reply_is_permanent(250)
    assert ehlo.reply_default(250)[0] and ehlo.reply_default(1) == ("", None)


def test_codecs_and_trace() -> None:
    assert ehlo.base64_decode(ehlo.base64_encode(bytes(range(256)) * 9)) == bytes(range(256)) * 9
    with pytest.raises(ehlo.GrammarError):
        ehlo.base64_decode("a===")
    assert ehlo.xtext_encode("a+b") == "a+2Bb" and ehlo.xtext_decode("a+2Bb") == b"a+b"
    assert ehlo.utf8_valid(b"a\xff") == 1 and ehlo.equal_nocase("aB", "Ab")
    assert ehlo.parse_date_time(ehlo.format_date_time(1_700_000_000)) == 1_700_000_000
    field = ehlo.format_received(
        by="mx.example.org", with_="ESMTP", time=0, hello="a.example", client_address="[192.0.2.1]", id="1"
    )
    assert field.startswith("Received: from a.example ([192.0.2.1])") and field.endswith("+0000\r\n")
    with pytest.raises(ehlo.ArgumentError):
        ehlo.format_received(by="mx.example.org", with_="ESMTP", time=1 << 80)
    assert ehlo.format_return_path("<a@b.example>") == "Return-Path: <a@b.example>\r\n"


def test_sasl() -> None:
    credentials = ehlo.Credentials(ehlo.Mechanism.PLAIN, "tim", "secret")
    assert ehlo.sasl_encode(credentials) == b"\0tim\0secret"
    assert ehlo.sasl_decode(ehlo.Mechanism.PLAIN, b"\0tim\0secret") == credentials
    assert "secret" not in repr(credentials)
    assert ehlo.sasl_find("cram-md5") is ehlo.Mechanism.CRAM_MD5 and ehlo.sasl_is_name("X-A")
    assert ehlo.sasl_name(ehlo.Mechanism.SCRAM_SHA_256) == "SCRAM-SHA-256"


lines = st.lists(st.sampled_from([b".", b"..", b"a", b".a", b"", b"x" * 70]), max_size=30).map(b"\r\n".join)


@given(lines, st.lists(st.integers(0, 2000)))
def test_dots_at_every_cut(content: bytes, cuts: list[int]) -> None:
    wire = ehlo.dot_stuff(content)
    whole = content + b"" if not content or content.endswith(b"\r\n") else content + b"\r\n"
    assert ehlo.dot_unstuff(wire) == whole
    places = sorted({0, *(cut % (len(wire) + 1) for cut in cuts), len(wire)})
    decoder = ehlo.DotDecoder()
    got = b"".join(decoder.decode(wire[start:end]) for start, end in zip(places, places[1:]))
    assert got == whole and decoder.ended and not decoder.rest
    places = sorted({0, *(cut % (len(content) + 1) for cut in cuts), len(content)})
    encoder = ehlo.DotEncoder()
    assert b"".join(encoder.encode(content[a:b]) for a, b in zip(places, places[1:])) + encoder.end() == wire


def test_dots_are_strict() -> None:
    with pytest.raises(ehlo.BareNewlineError):
        ehlo.dot_stuff(b"a\nb")
    assert ehlo.dot_stuff(b"a\nb", ehlo.DotFlag.CONVERT_LF) == b"a\r\nb\r\n.\r\n"
    assert ehlo.dot_stuff(b"a\nb", ehlo.DotFlag.ALLOW_BARE_NEWLINE) == b"a\nb\r\n.\r\n"
    decoder = ehlo.DotDecoder()
    with pytest.raises(ehlo.BareNewlineError) as caught:
        decoder.decode(b"ab\nc\r\n.\r\nrest")
    assert caught.value.content == b"ab"
    decoder.decode(decoder.rest)
    assert decoder.ended and decoder.rest == b"rest"
    with pytest.raises(ehlo.StateError):
        decoder.decode(b"x")
    with pytest.raises(ehlo.GrammarError):
        ehlo.dot_unstuff(b"a\r\n")
    with pytest.raises(ehlo.GrammarError):
        ehlo.dot_unstuff(b"a\r\n.\r\nb")
