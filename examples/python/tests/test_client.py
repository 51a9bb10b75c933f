"""The client: every command, every event, every error."""

from __future__ import annotations

import logging
from typing import Any, Callable

import pytest

import ehlo
from sessions import Recorder, dialogue, hear, open_client, open_server

ENVELOPE = ("250 2.1.0 ok", "250 2.1.5 ok", "354 go")


def begin(client: ehlo.Client) -> None:
    client.mail("a@example.org", tag=2)
    client.rcpt("<b@example.org>", tag=3)
    client.data(tag=4)


def test_a_message() -> None:
    recorder = Recorder()
    client = open_client(recorder, keywords="PIPELINING,SIZE 1000,ENHANCEDSTATUSCODES")
    assert client.offers(ehlo.Extension.PIPELINING) and not client.offers(ehlo.Extension.DSN)
    assert client.size_limit == 1000 and client.hello_verb is ehlo.Verb.EHLO and not client.tls
    assert client.timeout()[0] == 0
    begin(client)
    assert client.pending == 3
    assert client.take_output() == b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    hear(client, *ENVELOPE)
    assert recorder.one(ehlo.ClientContentEvent).recipients == 1 and client.want & ehlo.Want.CONTENT
    assert client.body(b".dot\r\n") == 6
    taken, pieces = 0, []
    wire = client.take_output()
    while taken < 12:
        count, more = client.body_gather(memoryview(b"..\r\n.a\r\nlast")[taken:])
        taken += count
        pieces += [bytes(piece) for piece in more]
    client.body_end()
    assert wire + b"".join(pieces) + client.take_output() == b"..dot\r\n...\r\n..a\r\nlast\r\n.\r\n"
    hear(client, "250-2.6.0 thank", "250 2.6.0 you")
    line = recorder.of(ehlo.ClientLineEvent)[-1]
    assert (line.verb, line.text, line.number, line.tag) == (ehlo.Verb.MESSAGE, b"thank", 1, 4)
    reply = recorder.of(ehlo.ClientReplyEvent)[-1]
    assert (reply.verb, reply.code, str(reply.enhanced), reply.number) == (ehlo.Verb.MESSAGE, 250, "2.6.0", 2)
    end = recorder.one(ehlo.ClientEndEvent)
    assert (end.reason, end.tag, end.code, end.needs_reset) == (ehlo.End.ACCEPTED, 2, 250, False)
    client.quit()
    client.take_output()
    hear(client, "221 bye")
    assert client.want is ehlo.Want.CLOSE and recorder.one(ehlo.ClientHelloEvent).tag == 1
    client.raise_for_violation()


def test_iterator() -> None:
    client = open_client()
    kinds = [type(event) for event in client.events()]
    assert kinds[0] is ehlo.ClientReplyEvent and kinds[-1] is ehlo.ClientHelloEvent
    begin(client)
    client.take_output()
    hear(client, "250 ok", "550 no", "554 nobody")
    found = list(client.events())
    assert isinstance(found[-1], ehlo.ClientEndEvent)
    assert found[-1].reason is ehlo.End.REFUSED and found[-1].code == 554


@pytest.mark.parametrize(
    "call, wire, keywords",
    [
        (lambda client: client.helo(), b"HELO client.example.org\r\n", ""),
        (lambda client: client.rset(), b"RSET\r\n", ""),
        (lambda client: client.vrfy("joe"), b"VRFY joe\r\n", ""),
        (lambda client: client.vrfy("jö", smtputf8=True), "VRFY jö SMTPUTF8\r\n".encode(), "8BITMIME,SMTPUTF8"),
        (lambda client: client.expn("list"), b"EXPN list\r\n", ""),
        (lambda client: client.help(), b"HELP\r\n", ""),
        (lambda client: client.noop("x"), b"NOOP x\r\n", ""),
        (lambda client: client.turn(), b"TURN\r\n", "TURN"),
        (lambda client: client.starttls(), b"STARTTLS\r\n", "STARTTLS"),
        (lambda client: client.etrn("@example.org"), b"ETRN @example.org\r\n", "ETRN"),
        (lambda client: client.atrn("example.org"), b"ATRN example.org\r\n", "ATRN"),
        (lambda client: client.xclient("NAME=a"), b"XCLIENT NAME=a\r\n", "XCLIENT NAME"),
        (lambda client: client.xforward("NAME=a"), b"XFORWARD NAME=a\r\n", "XFORWARD NAME"),
        (lambda client: client.command("XYZZY", "a"), b"XYZZY a\r\n", ""),
        (lambda client: client.send("a@example.org"), b"SEND FROM:<a@example.org>\r\n", "SEND"),
        (lambda client: client.soml("a@example.org"), b"SOML FROM:<a@example.org>\r\n", "SOML"),
        (lambda client: client.saml(""), b"SAML FROM:<>\r\n", "SAML"),
        (
            lambda client: client.mail("", ehlo.MailParameters(size=5, ret=ehlo.Ret.HDRS, envid="x")),
            b"MAIL FROM:<> SIZE=5 RET=HDRS ENVID=x\r\n",
            "SIZE,DSN",
        ),
        (
            lambda client: client.auth_begin("CRAM-MD5"),
            b"AUTH CRAM-MD5\r\n",
            "AUTH CRAM-MD5",
        ),
        (
            lambda client: client.auth_begin("SCRAM-SHA-256", b"n,,n=a"),
            b"AUTH SCRAM-SHA-256 biwsbj1h\r\n",
            "AUTH SCRAM-SHA-256",
        ),
    ],
)
def test_commands(call: Callable[[ehlo.Client], None], wire: bytes, keywords: str) -> None:
    client = open_client(keywords=keywords or "SIZE")
    call(client)
    assert client.take_output() == wire


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda client: client.mail("a@example.org>\r\nRCPT TO:<x@example.org"), ehlo.GrammarError),
        (lambda client: client.mail("ü@example.org"), ehlo.SmtpUtf8Error),
        (lambda client: client.mail("", ehlo.MailParameters(size=2000)), ehlo.SizeError),
        (lambda client: client.mail("", ehlo.MailParameters(body=ehlo.BodyType.EIGHTBITMIME)), ehlo.EightBitMimeError),
        (lambda client: client.mail("", ehlo.MailParameters(ret=ehlo.Ret.FULL)), ehlo.NotOfferedError),
        (lambda client: client.mail("", ehlo.MailParameters(size=1 << 70)), ehlo.ArgumentError),
        (lambda client: client.mail("", tag=-1), ehlo.ArgumentError),
        (lambda client: client.rcpt("b@example.org"), ehlo.StateError),
        (lambda client: client.noop("x" * 600), ehlo.TooLongError),
        (lambda client: client.starttls(), ehlo.NotOfferedError),
        (lambda client: client.auth(ehlo.Credentials(ehlo.Mechanism.PLAIN, "a", "b")), ehlo.TlsRequiredError),
        (lambda client: client.auth(ehlo.Credentials(ehlo.Mechanism.LOGIN, "a", "b")), ehlo.NotOfferedError),
        (lambda client: client.body(b"x"), ehlo.StateError),
        (lambda client: client.auth_respond(b""), ehlo.StateError),
        (lambda client: [client.noop() for _ in range(100)], ehlo.SpaceError),
        (lambda client: client.command("MAIL"), ehlo.ArgumentError),
    ],
)
def test_what_may_not_leave(call: Callable[[ehlo.Client], None], error: type[ehlo.HostError]) -> None:
    client = open_client(keywords="SIZE 1000,AUTH PLAIN")
    with pytest.raises(error):
        call(client)
    if error is not ehlo.SpaceError:
        assert client.take_output() == b""


def test_limits() -> None:
    client = open_client(keywords="PIPELINING,LIMITS MAILMAX=1 RCPTMAX=1 RCPTDOMAINMAX=1,DELIVERBY 60,AUTH PLAIN LOGIN")
    assert (client.mail_max, client.rcpt_max, client.rcpt_domain_max, client.by_min) == (1, 1, 1, 60)
    assert client.hold_max == client.hold_until_max == 0
    assert client.parameters(ehlo.Extension.AUTH) == "PLAIN LOGIN"
    assert client.mechanisms == {ehlo.Mechanism.PLAIN, ehlo.Mechanism.LOGIN}
    client.mail("")
    client.rcpt("b@example.org")
    with pytest.raises(ehlo.LimitError):
        client.rcpt("c@example.org")


def test_auth() -> None:
    recorder = Recorder()
    config = ehlo.ClientConfig(hostname="client.example.org", allow_plaintext_auth=True)
    client = open_client(recorder, config, "AUTH LOGIN CRAM-MD5")
    client.auth(ehlo.Credentials(ehlo.Mechanism.LOGIN, "tim", "secret"))
    assert client.take_output() == b"AUTH LOGIN\r\n"
    for prompt, said in ((b"Username:", b"tim"), (b"Password:", b"secret")):
        hear(client, "334 " + ehlo.base64_encode(prompt))
        assert client.take_output() == ehlo.base64_encode(said).encode() + b"\r\n"
    hear(client, "235 welcome")
    assert client.authenticated and [event.octets for event in recorder.of(ehlo.ClientChallengeEvent)][0] == b"Username:"
    client = open_client(recorder, config, "AUTH LOGIN CRAM-MD5")
    client.auth_begin("cram-md5")
    client.take_output()
    hear(client, "334 ")
    challenge = recorder.events[-1]
    assert challenge.octets == b"" and challenge.number == 1 and not challenge.answered
    client.auth_respond(b"x")
    assert client.take_output() == b"eA==\r\n"
    hear(client, "334 ")
    client.auth_cancel()
    assert client.take_output() == b"*\r\n"
    hear(client, "501 cancelled")
    assert not client.authenticated


def test_tls() -> None:
    client = open_client(keywords="STARTTLS")
    client.starttls()
    client.take_output()
    hear(client, "220 go")
    assert client.want & ehlo.Want.TLS
    client.tls_done()
    assert client.tls and not client.offers(ehlo.Extension.STARTTLS) and client.hello_verb is ehlo.Verb.NONE


def test_content_that_cannot_be_sent() -> None:
    for content, error in ((b"a\nb", ehlo.BareNewlineError), (b"\xff\r\n", ehlo.EightBitMimeError)):
        recorder = Recorder()
        client = open_client(recorder)
        begin(client)
        client.take_output()
        hear(client, *ENVELOPE)
        for _ in range(2):
            with pytest.raises(error):
                client.body(content)
        with pytest.raises(error):
            client.body_gather(content)
        client.body_abort()
        assert recorder.one(ehlo.ClientEndEvent).reason is ehlo.End.FAILED and client.want is ehlo.Want.CLOSE


def test_burl_and_chunks() -> None:
    config = ehlo.ClientConfig(hostname="client.example.org", chunking=ehlo.Chunking.ALWAYS)
    client = open_client(None, config, "PIPELINING,CHUNKING,8BITMIME,BURL")
    begin(client)
    client.take_output()
    hear(client, *ENVELOPE[:2])
    list(client.events())
    assert client.want & ehlo.Want.CONTENT
    client.body(b"x\r\n")
    client.body_end()
    assert client.take_output().startswith(b"BDAT 3")
    client = open_client(None, None, "PIPELINING,BURL imap")
    client.mail("a@example.org")
    client.rcpt("b@example.org")
    client.burl("imap://mail.example.org/1")
    assert client.take_output().endswith(b"BURL imap://mail.example.org/1 LAST\r\n")


@pytest.mark.parametrize(
    "lines, kind",
    [
        (("999 what",), ehlo.Violation.SYNTAX),
        (("250-a", "251 b"), ehlo.Violation.REPLY_MISMATCH),
        (("250 ok", "250 again"), ehlo.Violation.UNSOLICITED),
    ],
)
def test_a_server_that_breaks_the_rules(lines: tuple[str, ...], kind: ehlo.Violation) -> None:
    recorder = Recorder()
    client = open_client(recorder)
    client.noop()
    client.take_output()
    hear(client, *lines)
    event = recorder.one(ehlo.ClientViolationEvent)
    assert event.kind is kind is client.violation and not event.goes_on and client.want is ehlo.Want.CLOSE
    with pytest.raises(ehlo.ProtocolViolation) as caught:
        client.raise_for_violation()
    assert caught.value.kind is kind and isinstance(event.error(), ehlo.ProtocolViolation)
    assert event.octets == lines[-1].encode()


def test_leaving() -> None:
    for leave, reason in (("eof", ehlo.End.LOST), ("timed_out", ehlo.End.TIMED_OUT)):
        recorder = Recorder()
        client = open_client(recorder)
        client.mail("a@example.org")
        getattr(client, leave)()
        assert recorder.one(ehlo.ClientEndEvent).reason is reason and client.want is ehlo.Want.CLOSE


@pytest.mark.parametrize("where", ["on_reply", "on_line", "on_hello", "on_content", "on_end"])
def test_handlers_that_raise(where: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Any) -> None:
        raise RuntimeError("no luck")

    recorder = Recorder()
    client = open_client(recorder)
    begin(client)
    client.take_output()
    recorder.answers = {where: fail}
    if where == "on_hello":
        recorder.answers = {}
        client = ehlo.Client("client.example.org", Recorder(on_hello=fail))
        client.hello()
        client.feed(b"220 hello\r\n")
        client.take_output()
    lines = {"on_reply": "250 ok\r\n", "on_line": "250-ok\r\n", "on_hello": "250 ok\r\n"}
    with caplog.at_level(logging.ERROR, "ehlo"), pytest.raises(ehlo.HandlerError) as caught:
        client.feed(lines.get(where, "250 ok\r\n250 ok\r\n354 ok\r\n").encode())
        client.body_end()
        client.take_output()
        client.feed(b"250 ok\r\n")
    assert "no luck" in caplog.text and isinstance(caught.value.__cause__, RuntimeError)
    assert client.error is caught.value.__cause__ and client.want & ehlo.Want.CLOSE
    with pytest.raises(ehlo.HandlerError):
        client.feed(b"250 ok\r\n")


def test_what_is_no_exception_is_raised_by_feed() -> None:
    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    client = open_client(Recorder(on_hello=None))
    client.handler = Recorder(on_reply=stop)
    client.noop()
    client.take_output()
    with pytest.raises(KeyboardInterrupt):
        hear(client, "250 ok")
    assert client.want & ehlo.Want.CLOSE


def test_save() -> None:
    config = ehlo.ClientConfig(hostname="client.example.org")
    recorder = Recorder()
    client = ehlo.Client.restore(open_client(None, config).save(), config, recorder)
    client.noop(tag=7)
    assert client.take_output() == b"NOOP\r\n"
    hear(client, "250 ok")
    assert recorder.one(ehlo.ClientReplyEvent).tag == 7
    with pytest.raises(ehlo.ArgumentError):
        ehlo.Client.restore(b"", config)


@pytest.mark.parametrize("chunking", list(ehlo.Chunking))
def test_both_ends(chunking: ehlo.Chunking) -> None:
    def hello(event: ehlo.ClientHelloEvent) -> None:
        begin(event.session)

    content = b"Subject: x\r\n\r\n" + b".line of text\r\n" * 20000
    mine = Recorder(on_hello=hello, on_end=lambda event: event.session.quit())
    theirs = Recorder(on_rcpt="accept", on_message="accept")
    server = open_server(theirs, hello=None)
    client = ehlo.Client(ehlo.ClientConfig(hostname="client.example.org", chunking=chunking), mine)
    client.hello()
    client.feed(b"220 mx.example.org\r\n")
    dialogue(server, client, content)
    assert mine.one(ehlo.ClientEndEvent).reason is ehlo.End.ACCEPTED and theirs.content == content
