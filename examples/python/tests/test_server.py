"""The server: every event, every way to answer."""

from __future__ import annotations

import base64
import io
import logging
from typing import Any

import pytest

import ehlo
from sessions import MX, Recorder, answer, codes, open_server, say

ENVELOPE = ("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>")


def config(*offer: ehlo.Extension, **options: Any) -> ehlo.ServerConfig:
    return ehlo.ServerConfig(hostname="mx.example.org", offer=offer, **options)




def test_a_reject_that_cannot_be_said_tells_why(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(event: ehlo.RcptEvent) -> None:
        raise ehlo.Reject(550, "5.1.1", "two\r\nlines")

    server = open_server(Recorder(on_rcpt=refuse))
    with caplog.at_level(logging.ERROR, "ehlo"):
        assert codes(say(server, *ENVELOPE)) == [250, 451]
    assert "cannot be said: the text has octets" in caplog.text


def test_a_message() -> None:
    recorder = Recorder(on_rcpt="accept", on_message="accept")
    server = open_server(recorder)
    assert server.hello == "client.example.org" and server.hello_verb is ehlo.Verb.EHLO
    assert codes(say(server, "MAIL FROM:<a@example.org> SIZE=9 BODY=8BITMIME", ENVELOPE[1], "DATA")) == [250, 250, 354]
    assert server.transmission_type == "ESMTP" and server.recipients == 1 and server.transactions == 1
    assert codes(say(server, "..dot", "line", ".")) == [250]
    assert recorder.content == b".dot\r\nline\r\n"
    mail = recorder.one(ehlo.MailEvent)
    assert mail.verb is ehlo.Verb.MAIL and mail.path.domain.raw == b"example.org" and mail.raw == b"SIZE=9 BODY=8BITMIME"
    assert mail.parameters == ehlo.MailParameters(size=9, body=ehlo.BodyType.EIGHTBITMIME)
    assert recorder.one(ehlo.DataEvent).recipients == 1
    message = recorder.one(ehlo.MessageEvent)
    assert (message.recipients, message.octets) == (1, 12)
    end = recorder.one(ehlo.EndEvent)
    assert (end.reason, end.recipients, end.octets) == (ehlo.End.ACCEPTED, 1, 12)
    assert [event.code for event in recorder.of(ehlo.ReplyEvent)] == [220, 250, 250, 250, 354, 250]
    assert recorder.of(ehlo.ReplyEvent)[-1].asked == message.ticket
    assert [event.verb for event in recorder.of(ehlo.CommandEvent)][1:] == [
        ehlo.Verb.MAIL,
        ehlo.Verb.RCPT,
        ehlo.Verb.DATA,
    ]
    assert recorder.one(ehlo.ConnectEvent).ticket and recorder.one(ehlo.HelloEvent).domain.kind is ehlo.DomainKind.NAME
    assert message.session is server


def test_parameters_are_read_after_the_handler() -> None:
    recorder = Recorder()
    server = open_server(recorder, config(ehlo.Extension.DSN))
    say(server, "MAIL FROM:<> RET=HDRS ENVID=x+2By", "RCPT TO:<Postmaster> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;u@example.org")
    mail, rcpt = recorder.one(ehlo.MailEvent), recorder.one(ehlo.RcptEvent)
    assert mail.path.kind is ehlo.PathKind.NULL and rcpt.path.kind is ehlo.PathKind.POSTMASTER
    assert mail.parameters == ehlo.MailParameters(ret=ehlo.Ret.HDRS, envid="x+2By")
    assert ehlo.xtext_decode(mail.parameters.envid) == b"x+y"
    notify = ehlo.Notify.SUCCESS | ehlo.Notify.DELAY
    assert rcpt.parameters == ehlo.RcptParameters(notify=notify, orcpt_type="rfc822", orcpt_address="u@example.org")


@pytest.mark.parametrize(
    "line, kind, fields, offer, silence, good",
    [
        ("VRFY joe", ehlo.VrfyEvent, {"argument": "joe", "smtputf8": False}, (), 252, 250),
        ("EXPN list", ehlo.ExpnEvent, {"argument": "list"}, ("EXPN",), 252, 250),
        ("HELP me", ehlo.HelpEvent, {"argument": "me"}, (), 214, 211),
        ("TURN", ehlo.TurnEvent, {}, ("TURN",), 502, 250),
        ("XYZZY a b", ehlo.UnknownEvent, {"name": "XYZZY", "argument": "a b"}, (), 500, 250),
        ("STARTTLS", ehlo.StartTlsEvent, {}, ("STARTTLS",), 454, 220),
        ("ETRN @example.org", ehlo.EtrnEvent, {"option": "@", "node": "example.org"}, ("ETRN",), 458, 250),
        ("XFORWARD NAME=a+20b", ehlo.XForwardEvent, {"attributes": {"NAME": "a b"}}, ("XFORWARD",), 550, 250),
        ("XCLIENT ADDR=192.0.2.1", ehlo.XClientEvent, {"raw": b"ADDR=192.0.2.1"}, ("XCLIENT",), 550, 220),
    ],
)
def test_commands_that_ask(
    line: str, kind: type[Any], fields: dict[str, Any], offer: tuple[str, ...], silence: int, good: int
) -> None:
    what = config(*(ehlo.Extension[name] for name in offer))
    recorder = Recorder()
    server = open_server(recorder, what)
    assert set(codes(say(server, line))) == {silence}
    event = recorder.one(kind)
    assert {name: getattr(event, name) for name in fields} == fields
    # The iterator: silence is the same.
    server = open_server(None, what, None)
    list(server.events())
    server.take_output()
    server.feed(b"EHLO client.example.org\r\n")
    list(server.events())
    server.take_output()
    server.feed(line.encode() + b"\r\n")
    assert kind in [type(each) for each in server.events()]
    assert set(codes(answer(server))) == {silence}
    # And a good answer is let through.
    name = "on_" + kind.__name__.removesuffix("Event").lower()
    server = open_server(Recorder(**{name: lambda event: event.reply(good)}), what)
    assert codes(say(server, line)) == [good]


def test_atrn_turns_round() -> None:
    recorder = Recorder(on_atrn="accept")
    what = config(ehlo.Extension.ATRN, ehlo.Extension.AUTH, mechanisms=[ehlo.Mechanism.CRAM_MD5])
    server = open_server(recorder, what, None)
    server.authorize("odmr")
    say(server, "EHLO client.example.org")
    assert server.identity == "odmr"
    server.feed(b"ATRN example.org,example.com\r\n220 hello\r\n")
    assert codes(answer(server)) == [250]
    assert recorder.one(ehlo.AtrnEvent).domains == ("example.org", "example.com")
    assert server.want & ehlo.Want.TURN


def test_auth() -> None:
    def check(event: ehlo.AuthEvent) -> None:
        good = (event.credentials.authcid, event.credentials.secret) == ("tim", "tanstaaf")
        event.accept() if good else event.reject()

    recorder = Recorder(on_auth=check)
    what = config(ehlo.Extension.AUTH, mechanisms=[ehlo.Mechanism.PLAIN], allow_plaintext_auth=True)
    server = open_server(recorder, what)
    wrong, right = (base64.b64encode(b"\0tim\0" + word).decode() for word in (b"wrong", b"tanstaaf"))
    assert codes(say(server, f"AUTH PLAIN {wrong}")) == [535] and not server.authenticated
    assert server.mechanism is ehlo.Mechanism.OTHER
    assert codes(say(server, f"AUTH PLAIN {right}")) == [235] and server.authenticated
    assert server.identity == "tim" and server.mechanism is ehlo.Mechanism.PLAIN
    assert "tanstaaf" not in repr(recorder.events)


def test_steps() -> None:
    def step(event: ehlo.StepEvent) -> None:
        if event.response is None:
            event.challenge(b"<1@mx>")
        else:
            event.accept() if event.response == b"tim 0" else event.reject()

    recorder = Recorder(on_step=step)
    server = open_server(recorder, config(ehlo.Extension.AUTH, mechanisms=[ehlo.Mechanism.CRAM_MD5]))
    assert say(server, "AUTH CRAM-MD5") == ["334 " + ehlo.base64_encode(b"<1@mx>")]
    assert codes(say(server, ehlo.base64_encode(b"tim 0"))) == [235]
    first, second = recorder.of(ehlo.StepEvent)
    assert first.mechanism is ehlo.Mechanism.CRAM_MD5 and second.response == b"tim 0" and first.name == "CRAM-MD5"


def test_burl() -> None:
    recorder = Recorder(on_rcpt="accept", on_burl="accept")
    what = ehlo.ServerConfig(
        hostname="mx.example.org", preset=ehlo.Preset.SUBMISSION, offer=[ehlo.Extension.BURL], burl="imap"
    )
    server = open_server(recorder, what)
    server.authorize("tim")
    assert codes(say(server, *ENVELOPE, "BURL imap://mail.example.org/1 LAST")) == [250, 250, 250]
    burl = recorder.one(ehlo.BurlEvent)
    assert burl.url == "imap://mail.example.org/1" and burl.last and burl.recipients == 1


def test_lmtp_has_a_result_for_each() -> None:
    recorder = Recorder(
        on_rcpt="accept", on_result=lambda event: event.accept() if event.ordinal else event.reject(452, "4.2.2", "Full")
    )
    what = ehlo.ServerConfig(hostname="mx.example.org", preset=ehlo.Preset.LMTP)
    server = open_server(recorder, what, b"LHLO client.example.org\r\n")
    assert codes(say(server, *ENVELOPE, "RCPT TO:<c@example.org>", "DATA", "x", "."))[-2:] == [452, 250]
    assert [event.ordinal for event in recorder.of(ehlo.ResultEvent)] == [0, 1]
    assert recorder.one(ehlo.EndEvent).reason is ehlo.End.MIXED


def test_starttls() -> None:
    recorder = Recorder(on_starttls="accept")
    server = open_server(recorder, config(ehlo.Extension.STARTTLS))
    assert codes(say(server, "STARTTLS")) == [220]
    assert server.want & ehlo.Want.TLS
    server.tls_done(verified=True)
    assert server.tls and not server.hello
    with pytest.raises(ehlo.StateError):
        server.tls_done()


def test_violations() -> None:
    recorder = Recorder()
    server = open_server(recorder)
    say(server, "MAIL FROM: <a@example.org>")
    event = recorder.of(ehlo.ViolationEvent)[0]
    assert event.kind is ehlo.Violation.SPACE_AFTER_COLON and event.verb is ehlo.Verb.MAIL
    assert server.errors == 1


def test_answers_later() -> None:
    recorder = Recorder(on_rcpt="defer", on_message="defer")
    server = open_server(recorder, config(max_pending=10))
    assert codes(say(server, ENVELOPE[0], *[f"RCPT TO:<{name}@example.org>" for name in "bcd"])) == [250]
    first, second, third = recorder.of(ehlo.RcptEvent)
    third.accept()
    second.reject(550, "5.1.1", "No such user")
    assert answer(server) == []
    first.accept()
    assert answer(server) == ["250 2.1.5 Recipient okay", "550 5.1.1 No such user", "250 2.1.5 Recipient okay"]
    assert codes(say(server, "DATA", "x", ".")) == [354]
    assert server.want & ehlo.Want.DECISION
    server.feed(b"NOOP\r\n")
    assert server.take_output() == b""
    recorder.one(ehlo.MessageEvent).reply(250, None, "queued as 1")
    assert answer(server)[0] == "250 2.6.0 queued as 1"


def test_answers_twice_and_stale() -> None:
    recorder = Recorder(on_rcpt="accept", on_message="defer")
    server = open_server(recorder)
    say(server, *ENVELOPE, "DATA", "x", ".")
    with pytest.raises(ehlo.TicketError):
        recorder.one(ehlo.RcptEvent).accept()
    message = recorder.one(ehlo.MessageEvent)
    with pytest.raises(ehlo.StateError):
        message.defer()
    with pytest.raises(ehlo.CodeError):
        message.reply(354)
    with pytest.raises(ehlo.CodeError):
        message.reject(250)
    with pytest.raises(ehlo.TextError):
        message.reject(550, "5.0.0", "two\r\nlines")
    server.lost()
    cancel = recorder.one(ehlo.CancelEvent)
    assert cancel.ticket == cancel.tag == message.ticket
    with pytest.raises(ehlo.TicketError):
        message.accept()
    assert recorder.one(ehlo.EndEvent).reason is ehlo.End.LOST


def test_a_long_answer() -> None:
    def expand(event: ehlo.ExpnEvent) -> None:
        event.more(250, "2.1.5", "<a@example.org>")
        event.reply(250, "2.1.5", "<b@example.org>")

    server = open_server(Recorder(on_expn=expand), config(ehlo.Extension.EXPN))
    assert say(server, "EXPN list") == ["250-2.1.5 <a@example.org>", "250 2.1.5 <b@example.org>"]


def test_body_is_refused_early_and_stopped() -> None:
    recorder = Recorder(on_rcpt="accept", on_body=lambda event: event.reject(552, "5.3.4", "Enough"))
    server = open_server(recorder)
    assert say(server, *ENVELOPE, "DATA", "x" * 10, ".")[-1] == "552 5.3.4 Enough"
    assert not recorder.of(ehlo.MessageEvent)

    recorder = Recorder(on_rcpt="accept", on_body="defer", on_message="accept")
    server = open_server(recorder)
    say(server, *ENVELOPE, "DATA")
    server.feed(b"one\r\n")
    server.feed(b"two\r\n.\r\nNOOP\r\n")
    assert recorder.content == b"one\r\n" and not server.want & ehlo.Want.READ
    for _ in range(2):
        recorder.of(ehlo.BodyEvent)[-1].resume()
        lines = answer(server)
    assert recorder.content == b"one\r\ntwo\r\n" and codes(lines) == [250, 250]


def test_body_lives_until_the_handler_returns() -> None:
    kept: list[Any] = []

    def body(event: ehlo.BodyEvent) -> None:
        assert b"".join(event.pieces) == bytes(event)
        kept.extend([event, event.pieces[0], event.pieces[0][1:]])

    server = open_server(Recorder(on_rcpt="accept", on_body=body))
    say(server, *ENVELOPE, "DATA")
    server.feed(bytearray(b"0123\r\n"))
    event, piece, part = kept
    with pytest.raises(ValueError):
        bytes(piece)
    with pytest.raises(ehlo.ExpiredError):
        bytes(event)
    assert bytes(part) == b"123\r\n"  # what is cut out of it keeps alive what it needs


def test_pieces_without_a_copy_and_with_dots() -> None:
    seen = bytearray()

    def body(event: ehlo.BodyEvent) -> None:
        for piece in event.pieces:
            seen.extend(piece)

    server = open_server(Recorder(on_rcpt="accept", on_body=body, on_message="accept"))
    say(server, *ENVELOPE, "DATA")
    content = b".a\r\n..b\r\n" * 50 + b"\r\n"
    wire = ehlo.dot_stuff(content)
    for octet in wire:
        server.feed(bytes([octet]))
    assert seen == content and codes(answer(server)) == [250]


@pytest.mark.parametrize("where", ["on_mail", "on_rcpt", "on_data", "on_body", "on_message", "on_reply", "on_end"])
def test_handlers_that_raise(where: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Any) -> None:
        raise RuntimeError("no luck")

    answers: dict[str, Any] = {"on_rcpt": "accept", "on_message": "accept", where: fail}
    recorder = Recorder(**answers)
    server = open_server(recorder)
    recorder.errors.clear()
    with caplog.at_level(logging.ERROR, "ehlo"):
        got = codes(say(server, *ENVELOPE, "DATA"))
        if got[-1] == 354:
            got += codes(say(server, "x", "."))
    assert isinstance(server.error, RuntimeError) and recorder.errors[-1][0] is server.error
    assert "no luck" in caplog.text and "Traceback" in caplog.text
    if where != "on_end":
        assert 451 in got and got[-1] != 250
    # The session goes on as if nothing had been.
    recorder.answers = {"on_rcpt": "accept", "on_message": "accept"}
    assert codes(say(server, "RSET", *ENVELOPE, "DATA", "x", "."))[-1] == 250
    ends = recorder.of(ehlo.EndEvent)
    assert ends[-1].reason is ehlo.End.ACCEPTED


def test_an_answer_that_was_given_before_the_exception() -> None:
    def fail(event: Any) -> None:
        event.accept()
        raise RuntimeError

    server = open_server(Recorder(on_rcpt="accept", on_message=fail))
    assert codes(say(server, *ENVELOPE, "DATA", "x", "."))[-1] == 451

    def later(event: Any) -> None:
        event.defer()
        raise RuntimeError

    recorder = Recorder(on_rcpt="accept", on_message=later)
    server = open_server(recorder)
    assert codes(say(server, *ENVELOPE, "DATA", "x", "."))[-1] == 451
    with pytest.raises(ehlo.TicketError):
        recorder.one(ehlo.MessageEvent).accept()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_raised_by_feed(kind: type[BaseException]) -> None:
    def stop(event: Any) -> None:
        raise kind

    recorder = Recorder(on_rcpt="accept", on_message=stop)
    server = open_server(recorder)
    with pytest.raises(kind):
        say(server, *ENVELOPE, "DATA", "x", ".", "NOOP")
    assert codes(answer(server)) == [250, 250, 354, 451, 250]
    assert codes(say(server, "NOOP")) == [250] and server.error is None


def test_leaving() -> None:
    recorder = Recorder(on_rcpt="accept")
    server = open_server(recorder)
    say(server, *ENVELOPE)
    server.eof()
    assert recorder.one(ehlo.EndEvent).reason is ehlo.End.LOST and server.want & ehlo.Want.CLOSE
    server = open_server(recorder)
    server.shutdown(421, "4.3.2", "Back soon")
    assert answer(server) == ["421 4.3.2 mx.example.org Back soon"]
    server = open_server(recorder)
    seconds, epoch = server.timeout()
    assert seconds == 300
    say(server, "NOOP")
    assert server.timeout()[1] != epoch
    server.timed_out()
    assert codes(answer(server)) == [421]


def test_misuse() -> None:
    server = ehlo.Server(MX)
    with pytest.raises(ehlo.StateError):
        server.feed(b"EHLO x\r\n")
    server.start()
    with pytest.raises(ehlo.StateError):
        server.start()
    with pytest.raises(ehlo.ArgumentError):
        server.sent(-1)
    with pytest.raises(ehlo.ConfigError):
        ehlo.Server("no host name")
    with pytest.raises(ehlo.ConfigError):
        config(max_command_line=-1)
    with pytest.raises(ehlo.ConfigError):
        server.offer(ehlo.Extension.DSN, True)
    with pytest.raises(ehlo.StateError):
        open_server(object()).next_event()


def test_sleep_and_save() -> None:
    recorder = Recorder(on_rcpt="accept", on_message="accept")
    server = open_server(recorder)
    assert server.kept < server.size
    server.sleep()
    assert server.want is ehlo.Want.READ and server.hello == "client.example.org"
    assert codes(say(server, *ENVELOPE)) == [250, 250]
    again = ehlo.Server.restore(server.save(), MX, recorder)
    assert codes(say(again, "DATA", "x", ".")) == [354, 250]
    with pytest.raises(ehlo.HostError):
        ehlo.Server.restore(b"x" * server.size, MX)


def test_output_in_parts_and_buffers() -> None:
    server = ehlo.Server(MX)
    buffer = ehlo.ReceiveBuffer(64)
    server.handler = object()
    server.start()
    whole = server.output()
    server.sent(3)
    assert server.output() == whole[3:]
    server.sent(len(whole) - 3)
    assert server.output() == b"" and server.take_output() == b""
    for line in (b"EHLO client.example.org\r\n", b"NOOP\r\n"):
        buffer.view[: len(line)] = line
        server.received(buffer, len(line))
    assert codes(answer(server))[-1] == 250
    with pytest.raises(ehlo.ArgumentError):
        server.received(buffer, 65)
    server.feed(memoryview(b"NOOP\r\n"))
    server.feed(bytearray(b"NOOP\r\n"))
    assert codes(answer(server)) == [250, 250]


def test_what_feed_keeps() -> None:
    server = open_server(Recorder(on_rcpt="defer"))
    server.feed(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nNOOP\r\n" + b"NOOP\r\n" * 300)
    assert codes(answer(server)) == [250] and not server.want & ehlo.Want.READ
    server.handler.events[-1].accept()  # type: ignore[union-attr]
    total: list[int] = []
    while server.want & (ehlo.Want.FEED | ehlo.Want.WRITE):  # more than the output holds at once
        total += codes(answer(server))
    assert total == [250] * 302 and server.want is ehlo.Want.READ


def test_eof_behind_what_feed_keeps() -> None:
    recorder = Recorder(on_rcpt="defer", on_message="accept")
    server = open_server(recorder)
    server.feed(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nx\r\n.\r\n")
    server.eof()
    with pytest.raises(ehlo.StateError):
        server.feed(b"NOOP\r\n")
    assert not recorder.of(ehlo.EndEvent)
    recorder.one(ehlo.RcptEvent).accept()
    assert codes(answer(server)) == [250, 250, 354, 250]
    assert recorder.one(ehlo.EndEvent).reason is ehlo.End.ACCEPTED and server.want is ehlo.Want.CLOSE


def test_iterator_without_room() -> None:
    server = open_server(None, config(output_size=512, pending_text=64), None)
    out = b""
    server.feed(b"EHLO client.example.org\r\n")
    for _ in range(100):  # what is sent bit by bit
        for event in server.events():
            pass
        piece = server.output()[:20]
        out += piece
        server.sent(len(piece))
    server.feed(b"VRFY x\r\n" * 50)
    for _ in range(1000):
        for event in server.events():
            if isinstance(event, ehlo.VrfyEvent) and event.argument == "y":
                event.reply(550, "5.1.1", "x" * 300)
        piece = server.output()[:20]
        out += piece
        server.sent(len(piece))
    assert out.count(b"252 ") == 50 and server.want is ehlo.Want.READ


def test_iterator_silence_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(event: ehlo.Question) -> None:
        raise ehlo.SpaceError

    server = ehlo.Server(MX)
    server.start()
    assert isinstance(server.next_event(), ehlo.ConnectEvent)
    with monkeypatch.context() as patch:
        patch.setattr(ehlo.Question, "_silence", full)
        assert server.next_event() is None and server.take_output() == b""
    assert isinstance(server.next_event(), ehlo.ReplyEvent)
    assert codes(answer(server)) == [220]


def test_iterator_waits_for_answers() -> None:
    server = ehlo.Server(config(max_pending=4))
    server.start()
    list(server.events())
    server.take_output()
    server.feed(b"EHLO client.example.org\r\n")
    list(server.events())
    server.take_output()
    server.feed(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nNOOP\r\n")
    asked = []
    for event in server.events():
        if isinstance(event, ehlo.RcptEvent):
            event.defer()
            asked.append(event)
    assert codes(answer(server)) == [250] and len(asked) == 2
    with pytest.raises(ehlo.TicketError):
        asked[0].defer()
    asked[1].reject(550, "5.1.1", "No such user")
    asked[0].accept()
    assert [type(event) for event in server.events()][-1] is ehlo.ReplyEvent
    assert codes(answer(server)) == [250, 550, 250]
    body = []
    server.feed(b"DATA\r\nabc\r\n.\r\n")
    for event in server.events():
        if isinstance(event, ehlo.BodyEvent):
            body.append(event)
        if isinstance(event, ehlo.MessageEvent):
            event.accept()
    assert b"".join(map(bytes, body)) == b"abc\r\n" == b"".join(body[0].pieces)


@pytest.mark.parametrize("iterated", [False, True])
def test_a_body_is_written_to_a_file(iterated: bool) -> None:
    class Writer(ehlo.ServerHandler):
        def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            event.accept()

        def on_body(self, event: ehlo.BodyEvent) -> None:
            event.write_to(file)
            self.event = event

    file, writer = io.BytesIO(), Writer()
    server = open_server(None if iterated else writer)
    lines = (b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@example.org>", b"DATA", b"one", b"..two", b"three", b".")
    for number in range(len(lines)):
        server.feed(lines[number] + b"\r\n")
        for event in server.events() if iterated else ():
            if isinstance(event, ehlo.BodyEvent):
                event.write_to(file)
            elif isinstance(event, ehlo.RcptEvent):
                event.accept()
    assert file.getvalue() == b"one\r\n.two\r\nthree\r\n"
    if not iterated:
        with pytest.raises(ehlo.ExpiredError):
            writer.event.write_to(file)
