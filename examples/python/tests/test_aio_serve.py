"""ehlo.aio.serve: handlers of all kinds, peers of all kinds."""

from __future__ import annotations

import asyncio
import gc
import logging
import pathlib
import resource
import socket
import time
import weakref
from typing import Any

import pytest

import ehlo
import ehlo.aio
from aio import CONTENT, ENVELOPE, HELLO, MESSAGE, Inbox, Peer, eventually, run, serve


async def dialogue(handler: object, octets: bytes, replies: int, **options: Any) -> list[int]:
    async with serve(handler, **options) as server:
        peer = await Peer.connect(server)
        codes = await peer.say(octets, replies)
        await peer.close()
        return codes


def test_a_message() -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox) as server:
            peer = await Peer.connect(server)
            codes = await peer.say(HELLO + b"MAIL FROM:<>\r\nRCPT TO:<b@example.org> X\r\n", 3)
            assert codes == [250, 250, 555]
            codes = await peer.say(b"RCPT TO:<b@example.org>\r\nRCPT TO:<refused@example.org>\r\nDATA\r\n", 3)
            assert codes == [250, 550, 354]
            assert await peer.say(b"Subject: test\r\n\r\n..line\r\n.\r\nQUIT\r\n", 2) == [250, 221]
            assert await peer.gone()
            (envelope,) = inbox.envelopes
            assert (envelope.mail_from, envelope.recipients, envelope.content) == ("", ["b@example.org"], CONTENT)
            assert envelope.message()["Subject"] == "test" and envelope.message() is envelope.message()
            assert envelope.peer[0] == "127.0.0.1" and envelope.hello == "client.example.org"
            assert not envelope.tls and envelope.user == "" and inbox.ends == [ehlo.End.ACCEPTED]
            await peer.close()

    run(main())


def test_a_large_message_is_whole() -> None:
    async def main() -> None:
        inbox = Inbox()
        content = b"".join(b"%070d\r\n" % number for number in range(5000))
        async with serve(inbox) as server:
            peer = await Peer.connect(server)
            await peer.say(MESSAGE, 4)
            for start in range(0, len(content), 7001):
                peer.writer.write(content[start : start + 7001])
                await peer.writer.drain()
                await asyncio.sleep(0)
            assert await peer.say(b".\r\n") == [250]
            assert [envelope.content for envelope in inbox.envelopes] == [content]
            await peer.close()

    run(main())


def test_deliver_alone() -> None:
    """Nothing of a handler's but `deliver`: what it gets outlives the transaction, and nothing of another is in it."""

    async def main() -> None:
        taken: list[ehlo.aio.Envelope] = []

        class Handler:
            def deliver(self, envelope: ehlo.aio.Envelope) -> None:
                taken.append(envelope)

        content = b"".join(b".%070d\r\n" % number for number in range(6000))
        config = ehlo.ServerConfig(hostname="mx.example.org", offer=[ehlo.Extension.DSN])
        async with serve(Handler(), config=config) as server:
            peer = await Peer.connect(server)
            size = b"%d" % len(content)
            await peer.say(HELLO + b"MAIL FROM:<a@example.org> SIZE=" + size + b" BODY=8BITMIME\r\n", 2)
            assert await peer.say(b"RCPT TO:<b@example.org> NOTIFY=NEVER\r\nRCPT TO:<@>\r\n", 2) == [250, 501]
            assert await peer.say(b"RCPT TO:<c@example.org>\r\n") == [250]
            assert await peer.say(b"DATA\r\n") == [354]
            assert await peer.say(ehlo.dot_stuff(content)) == [250]
            # Of what was begun and not ended nothing stays.
            assert await peer.say(b"MAIL FROM:<lost@example.org>\r\nRCPT TO:<lost@example.org>\r\n", 2) == [250, 250]
            assert await peer.say(b"BDAT 4\r\nlost") == [250]
            assert await peer.say(b"RSET\r\n" + ENVELOPE + b"DATA\r\n", 4) == [250, 250, 250, 354]
            assert await peer.say(b"short\r\n.\r\nQUIT\r\n", 2) == [250, 221]
            await peer.close()
        large, short = taken
        assert large.content == content and short.content == b"short\r\n"
        assert large.mail_from == "a@example.org" and large.recipients == ["b@example.org", "c@example.org"]
        assert large.mail_parameters.size == len(content) and large.mail_parameters.body == ehlo.BodyType.EIGHTBITMIME
        assert [each.notify for each in large.rcpt_parameters] == [ehlo.Notify.NEVER, ehlo.Notify(0)]
        assert short.mail_from == "a@example.org" and short.recipients == ["b@example.org"]
        assert short.mail_parameters == ehlo.MailParameters() and large.hello == short.hello == "client.example.org"

    run(main())


def test_more_output_than_one_turn_takes() -> None:
    async def main() -> None:
        inbox, count = Inbox(), 700
        config = ehlo.ServerConfig(hostname="mx.example.org", output_size=65535, max_recipients=count)
        async with serve(inbox, config=config) as server:
            peer = await Peer.connect(server)
            await peer.say(HELLO)
            peer.writer.write(b"NOOP\r\n" * 2000 + b"QUIT\r\n")
            codes = [line[:3] for line in (await peer.reader.read()).splitlines()]
            assert codes == [b"250"] * 2000 + [b"221"]
            await peer.close()
            mine = ehlo.ClientConfig(hostname="client.example.org", output_size=65535, max_commands=count + 10)
            names = [f"user{number}@example.org" for number in range(count)]
            async with ehlo.aio.connect("127.0.0.1", server.port, config=mine) as connection:
                result = await connection.send(b"x\r\n", sender="a@example.org", recipients=names)
            assert result.accepted == names and inbox.envelopes[0].recipients == names

    run(main())


def test_verdicts_run_in_parallel() -> None:
    class Slow:
        now = most = 0

        async def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.05)
            self.now -= 1
            number = int(event.path.local_part)
            if number % 3 == 1:
                raise ehlo.aio.Reject(550, "5.1.1", "x" * 200)  # more than can be parked: it waits for its turn
            if number % 3 == 2:
                return
            event.accept()

    async def main() -> None:
        slow = Slow()
        async with serve(slow) as server:
            peer = await Peer.connect(server)
            await peer.say(HELLO + b"MAIL FROM:<a@example.org>\r\n", 2)
            begin = time.monotonic()
            rcpts = b"".join(b"RCPT TO:<%d@example.org>\r\n" % number for number in range(20))
            codes = await peer.say(rcpts + b"NOOP\r\n", 21)
            assert time.monotonic() - begin < 0.5
            assert slow.most == 20
            assert codes == [(250, 550, 451)[number % 3] for number in range(20)] + [250]
            await peer.close()

    run(main())


KINDS = ("plain", "at once", "late", "behind an answer", "cancelled")
WHERE = ("on_mail", "on_rcpt", "on_data", "on_body", "on_message", "deliver")


@pytest.mark.parametrize(
    "where, kind", [*((where, kind) for where in WHERE for kind in KINDS), ("on_end", "plain"), ("on_end", "late")]
)
def test_handlers_that_raise(where: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    class Handler:
        failing = True
        told: list[BaseException] = []

        def on_rcpt(self, event: Any) -> None:
            event.accept()

        def on_error(self, error: BaseException, event: Any) -> None:
            self.told.append(error)

    def accept(self: Any, event: Any) -> None:
        if hasattr(event, "accept") and where not in ("on_body", "deliver"):
            event.accept()

    def plain(self: Any, event: Any) -> None:
        if self.failing:
            raise RuntimeError("no luck")
        accept(self, event)

    async def later(self: Any, event: Any) -> None:
        if not self.failing:
            return accept(self, event)
        if kind == "late":
            await asyncio.sleep(0.01)
        if kind == "behind an answer":
            accept(self, event)
        if kind == "cancelled":
            raise asyncio.CancelledError
        raise RuntimeError("no luck")

    setattr(Handler, where, plain if kind == "plain" else later)
    if where not in ("deliver", "on_message"):
        setattr(Handler, "on_message", lambda self, event: event.accept())

    async def main() -> None:
        handler = Handler()
        async with serve(handler) as server:
            peer = await Peer.connect(server)
            codes = await peer.say(HELLO + ENVELOPE + b"DATA\r\n", 4)
            if codes[-1] == 354:
                codes += await peer.say(b"x\r\n.\r\n")
            if where == "on_end":
                await eventually(lambda: handler.told)
            else:
                assert 451 in codes and codes[-1] in (451, 503, 554), codes
            handler.failing = False
            codes = await peer.say(b"RSET\r\n" + ENVELOPE + b"DATA\r\n", 4)
            assert codes == [250, 250, 250, 354]
            assert await peer.say(b"x\r\n.\r\n") == [250]
            await peer.close()

    with caplog.at_level(logging.ERROR, "ehlo"):
        run(main())
    assert kind == "cancelled" or "no luck" in caplog.text and "Traceback" in caplog.text


def test_on_error_may_be_async() -> None:
    class Handler(Inbox):
        told: list[BaseException] = []

        async def on_mail(self, event: ehlo.MailEvent) -> None:
            raise RuntimeError("no luck")

        async def on_error(self, error: BaseException, event: Any) -> None:
            await asyncio.sleep(0)
            self.told.append(error)

    async def main() -> None:
        async with serve(Handler()) as server:
            peer = await Peer.connect(server)
            assert await peer.say(HELLO + ENVELOPE, 3) == [250, 451, 503]
            await eventually(lambda: Handler.told)
            assert str(Handler.told[0]) == "no luck"
            await peer.close()

    run(main())


@pytest.mark.parametrize("stop", [False, True])
def test_what_is_told_is_told_to_the_end(stop: bool) -> None:
    """The peer has gone, or the server stops: a transaction that ended is cleaned up all the same."""

    class Handler:
        ends: list[ehlo.End] = []

        async def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            event.accept()

        async def on_end(self, event: ehlo.EndEvent) -> None:
            await asyncio.sleep(0.01)
            self.ends.append(event.reason)

    async def main() -> None:
        async with serve(Handler()) as server:
            peer = await Peer.connect(server)
            assert await peer.say(HELLO + ENVELOPE, 3) == [250, 250, 250]
            await peer.close()
            if not stop:
                await eventually(lambda: Handler.ends)
            else:
                await eventually(lambda: not server.connections)
        assert Handler.ends == [ehlo.End.LOST]

    run(main())


def test_answers_twice_late_and_wrong() -> None:
    caught: list[type[BaseException]] = []

    class Handler:
        kept: list[Any] = []

        async def on_mail(self, event: ehlo.MailEvent) -> None:
            event.accept()
            try:
                event.reject()
            except ehlo.TicketError as error:
                caught.append(type(error))

        async def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            for arguments in ((250, "2.1.5", "a\r\nb"), (250, "x"), (199,)):
                try:
                    event.reply(*arguments)
                except ehlo.HostError as error:
                    caught.append(type(error))
            self.kept.append(event)
            if event.path.local_part == "wrong":
                event.reply(354)  # which is found out only when the task has ended
            else:
                event.accept()

        def on_data(self, event: ehlo.DataEvent) -> None:
            event.defer()
            asyncio.get_running_loop().call_later(0.01, event.accept)

        async def on_message(self, event: ehlo.MessageEvent) -> None:
            event.defer()  # it is answered by another task
            asyncio.get_running_loop().call_later(0.01, event.reject, 550, "5.7.1", "Late")

    async def main() -> None:
        async with serve(Handler()) as server:
            peer = await Peer.connect(server)
            assert await peer.say(MESSAGE, 4) == [250, 250, 250, 354]
            assert caught == [ehlo.TicketError, ehlo.TextError, ehlo.GrammarError, ehlo.CodeError]
            assert await peer.say(CONTENT.replace(b".", b"..") + b".\r\n") == [550]
            with pytest.raises(ehlo.TicketError):
                Handler.kept[0].accept()
            assert await peer.say(ENVELOPE.replace(b"<b@", b"<wrong@"), 2) == [250, 451]
            await peer.close()

    run(main())


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_the_peer_leaves(leave: str) -> None:
    class Handler:
        cancelled: list[str] = []
        asked = 0
        ends: list[ehlo.End] = []
        cancels: list[int] = []

        async def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            self.asked += 1
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.cancelled.append(event.path.local_part)
                raise

        def on_cancel(self, event: ehlo.CancelEvent) -> None:
            self.cancels.append(event.ticket)

        def on_end(self, event: ehlo.EndEvent) -> None:
            self.ends.append(event.reason)

    async def main() -> None:
        Handler.cancelled, Handler.ends, Handler.cancels = [], [], []
        handler = Handler()
        async with serve(handler) as server:
            peer = await Peer.connect(server)
            peer.writer.write(HELLO + ENVELOPE + b"RCPT TO:<c@example.org>\r\n")
            await eventually(lambda: handler.asked == 2)
            (connection,) = server.connections
            getattr(peer.writer, leave, peer.writer.transport.abort)()
            await eventually(lambda: len(handler.cancelled) == 2)
            assert handler.cancelled == ["b", "c"] and handler.ends == [ehlo.End.LOST] and len(handler.cancels) == 2
            await eventually(lambda: not server.connections)
            assert not connection._calls.tasks
            await peer.close()

    run(main())


def test_a_pipe_that_ends() -> None:
    """As of nc, whose input is a file: what was asked before is answered."""

    class Handler(Inbox):
        async def deliver(self, envelope: ehlo.aio.Envelope) -> None:
            await asyncio.sleep(0.05)
            await super().deliver(envelope)

    async def main() -> None:
        inbox = Handler()
        async with serve(inbox) as server:
            peer = await Peer.connect(server)
            peer.writer.write(HELLO + ENVELOPE + b"BDAT 3 LAST\r\nx\r\nQUIT\r\n")
            peer.writer.write_eof()
            assert [await peer.code() for _ in range(5)] == [250, 250, 250, 250, 221]
            assert await peer.gone() and len(inbox.envelopes) == 1
            await peer.close()

    run(main())


def test_a_slow_body_holds_the_peer_back() -> None:
    size = 30_000_000

    class Handler:
        octets = most = 0
        server: ehlo.aio.Server

        def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            event.accept()

        async def on_body(self, event: ehlo.BodyEvent) -> None:
            held = bytes(event)
            await asyncio.sleep(0)
            assert bytes(event) == held == b"".join(event.pieces)
            self.octets += len(held)
            self.most = max(self.most, sum(len(each._session._held) for each in self.server.connections))
            if self.octets < 1_000_000:
                await asyncio.sleep(0.01)

        def on_message(self, event: ehlo.MessageEvent) -> None:
            event.accept()

    async def main() -> None:
        handler = Handler()
        async with serve(handler) as server:
            handler.server = server
            peer = await Peer.connect(server)
            assert await peer.say(MESSAGE, 4) == [250, 250, 250, 354]
            peer.writer.transport.set_write_buffer_limits(0)
            line = b"x" * 998 + b"\r\n"
            peer.writer.write(line * (size // 1000) + b".\r\n")
            await asyncio.sleep(0.1)
            assert handler.octets < 3_000_000 and peer.writer.transport.get_write_buffer_size() > 0
            assert await asyncio.wait_for(peer.code(), 30) == 250
            assert handler.octets == size and handler.most < 300_000
            await peer.close()

    run(main())


def test_a_peer_that_does_not_read() -> None:
    async def main() -> None:
        async with serve(Inbox(), linger=0.2) as server:
            peer = await Peer.connect(server)
            await peer.say(HELLO)
            peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
            peer.writer.transport.set_write_buffer_limits(0)
            (connection,) = server.connections
            command = b"NOOP\r\n" * 100_000
            for _ in range(40):
                peer.writer.write(command)
            await eventually(lambda: connection._blocked)
            await asyncio.sleep(0.2)
            assert peer.writer.transport.get_write_buffer_size() > 1_000_000  # it is not taken from it
            assert connection._transport.get_write_buffer_size() < 140_000  # high-water mark, and a batch
            assert len(connection._session._held) < 300_000
            connection._timed_out()  # the last reply cannot leave
            await eventually(lambda: not server.connections)
            await peer.close()

    run(main())


def test_everything_is_answered_behind_a_blocked_peer() -> None:
    async def main() -> None:
        async with serve(Inbox()) as server:
            peer = await Peer.connect(server)
            await peer.say(HELLO)
            peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
            peer.writer.write(b"NOOP\r\n" * 500_000)
            (connection,) = server.connections
            await eventually(lambda: connection._blocked)
            peer.reader._transport.resume_reading()  # type: ignore[attr-defined]
            count = 0
            while count < 500_000:
                count += (await asyncio.wait_for(peer.reader.read(1 << 20), 10)).count(b"\n")
            assert count == 500_000
            await peer.close()

    run(main())


def test_timeouts() -> None:
    async def main() -> None:
        config = ehlo.ServerConfig(hostname="mx.example.org", command_timeout=1, content_timeout=1)
        inbox = Inbox()
        async with serve(inbox, config=config) as server:
            peer = await Peer.connect(server)
            await asyncio.sleep(0.6)
            assert await peer.say(HELLO) == [250]
            begin = time.monotonic()
            peer.writer.write(b"MAI")  # a command that comes octet by octet is no progress
            await asyncio.sleep(0.6)
            peer.writer.write(b"L ")
            assert await peer.code() == 421
            assert 0.9 < time.monotonic() - begin < 4 and await peer.gone()
            await peer.close()
            peer = await Peer.connect(server)
            assert await peer.say(MESSAGE, 4) == [250, 250, 250, 354]
            assert await peer.code() == 421 and await peer.gone()
            assert inbox.ends == [ehlo.End.TIMED_OUT]
            await peer.close()

    run(main())


def test_stop() -> None:
    class Slow(Inbox):
        async def deliver(self, envelope: ehlo.aio.Envelope) -> None:
            await asyncio.sleep(0.2)
            await super().deliver(envelope)

    async def main() -> None:
        inbox = Slow()
        server = await serve(inbox)
        port = server.port
        idle, busy, stuck = [await Peer.connect(server) for _ in range(3)]
        for peer in (busy, stuck):
            assert await peer.say(MESSAGE, 4) == [250, 250, 250, 354]
        await idle.say(HELLO)
        stopping = asyncio.create_task(server.stop(grace=1.5))
        assert await idle.reply() == ["421 4.3.2 mx.example.org Shutting down"] and await idle.gone()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        assert await busy.say(CONTENT.replace(b".", b"..") + b".\r\n", 2) == [250, 421]
        assert len(inbox.envelopes) == 1 and await busy.gone() and not stopping.done()
        assert await stuck.code() == 421 and await stuck.gone()
        await stopping
        assert not server.connections and inbox.ends[-1] == ehlo.End.SHUTDOWN
        for peer in (idle, busy, stuck):
            await peer.close()

    run(main())


def test_connections_are_limited() -> None:
    async def main() -> None:
        async with serve(Inbox(), max_connections=2) as server:
            peers = [await Peer.connect(server) for _ in range(2)]
            third = await Peer.connect(server, greeting=False)
            assert await third.reply() == ["421 mx.example.org Too many connections"] and await third.gone()
            await peers[0].close()
            await eventually(lambda: len(server.connections) == 1)
            peers.append(await Peer.connect(server))
            for peer in (*peers, third):
                await peer.close()

    run(main())


def test_1000_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))

    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)  # it keeps a stack for every callback
        inbox = Inbox()
        async with serve(inbox) as server:
            peers = [await Peer.connect(server) for _ in range(1000)]
            assert len(server.connections) == 1000
            for peer in peers:
                peer.writer.write(MESSAGE)
            for peer in peers:
                assert [await peer.code() for _ in range(4)] == [250, 250, 250, 354]
            for peer in peers:
                peer.writer.write(b"x\r\n.\r\nQUIT\r\n")
            for peer in peers:
                assert [await peer.code() for _ in range(2)] == [250, 221]
            assert len(inbox.envelopes) == 1000
            for peer in peers:
                await peer.close()

    try:
        run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_lmtp() -> None:
    class Store(Inbox):
        def __init__(self, later: bool) -> None:
            super().__init__()
            if not later:
                self.deliver = self.plain  # type: ignore[method-assign,assignment]

        def plain(self, envelope: ehlo.aio.Envelope) -> None:
            self.envelopes.append(envelope)
            if b"refuse" in envelope.content:
                raise ehlo.aio.Reject(552, "5.2.2", "Full")

        async def deliver(self, envelope: ehlo.aio.Envelope) -> None:
            await asyncio.sleep(0.01)
            self.plain(envelope)

    async def main(later: bool) -> None:
        store = Store(later)
        config = ehlo.ServerConfig(hostname="mx.example.org", preset=ehlo.Preset.LMTP, max_pending=3)
        async with serve(store, config=config) as server:
            peer = await Peer.connect(server)
            rcpts = b"".join(b"RCPT TO:<%d@example.org>\r\n" % number for number in range(7))
            await peer.say(HELLO.replace(b"EHLO", b"LHLO"))
            for content, code in ((b"x\r\n", 250), (b"refuse\r\n", 552), (b"x\r\n", 250)):
                codes = await peer.say(b"MAIL FROM:<a@example.org>\r\n" + rcpts + b"DATA\r\n", 9)
                assert codes == [250] * 8 + [354]
                assert await peer.say(content + b".\r\n", 7) == [code] * 7
            assert len(store.envelopes) == 3 and len(store.envelopes[0].recipients) == 7
            await peer.close()

    run(main(True))
    run(main(False))


@pytest.mark.parametrize("later", [False, True])
def test_deliver_must_not_return_a_text(later: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Plain:
        def deliver(self, envelope: ehlo.aio.Envelope) -> str:
            return "550 No"

    class Later:
        async def deliver(self, envelope: ehlo.aio.Envelope) -> str:
            return "550 No"

    with caplog.at_level(logging.ERROR, "ehlo"):
        codes = asyncio.run(dialogue(Later() if later else Plain(), MESSAGE + b"x\r\n.\r\n", 5))
    assert codes[-1] == 451 and "TypeError" in caplog.text


def wrapped(method: Any) -> Any:
    """As a decorator that knows nothing of coroutines."""
    return lambda *arguments: method(*arguments)


@pytest.mark.parametrize("kind", ["plain", "late", "wrapped"])
@pytest.mark.parametrize("delivering", [False, True])
def test_methods_must_not_return_anything(kind: str, delivering: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Handler:
        def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            event.accept()

    def plain(self: Any, event: ehlo.MailEvent) -> str:
        return "550 No"

    async def late(self: Any, event: ehlo.MailEvent) -> str:
        return "550 No"

    setattr(Handler, "on_mail", {"plain": plain, "late": late, "wrapped": wrapped(late)}[kind])
    if delivering:
        setattr(Handler, "deliver", lambda self, envelope: None)
    with caplog.at_level(logging.ERROR, "ehlo"):
        assert asyncio.run(dialogue(Handler(), HELLO + ENVELOPE, 3)) == [250, 451, 503]
    assert "returns nothing" in caplog.text


def test_what_a_handler_is() -> None:
    class Both:
        def deliver(self, envelope: Any) -> None: ...
        def on_message(self, event: Any) -> None: ...

    class Misspelt:
        def on_recipient(self, event: Any) -> None: ...

    async def function(envelope: Any) -> None: ...

    async def refused() -> None:
        with pytest.raises(TypeError, match="no on_message"):
            await serve(Both())
        with pytest.raises(TypeError, match="nothing"):
            await serve(Misspelt())
        with pytest.raises(TypeError, match="factory"):
            await serve(function)

    made: list[Inbox] = []

    class Counted(Inbox):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    def broken() -> object:
        raise RuntimeError("no luck")

    async def main() -> None:
        for factory in (Counted, lambda: Counted()):
            async with serve(factory) as server:
                for _ in range(2):
                    peer = await Peer.connect(server)
                    await peer.close()
        assert len(made) == 4
        async with serve(broken) as server:
            peer = await Peer.connect(server, greeting=False)
            assert await peer.gone()
            await peer.close()

    run(refused())
    run(main())


def test_too_big_a_message() -> None:
    config = ehlo.ServerConfig(hostname="mx.example.org", max_message_size=1000)
    codes = asyncio.run(dialogue(Inbox(), MESSAGE + b"x" * 998 + b"\r\nx\r\n.\r\nNOOP\r\n", 6, config=config))
    assert codes == [250, 250, 250, 354, 552, 250]


def test_unix_socket_and_sock(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox, path=str(tmp_path / "s")):
            result = await ehlo.aio.send(CONTENT, sender="", recipients="b@example.org", path=tmp_path / "s")
            assert result.accepted == ["b@example.org"] and inbox.envelopes[0].content == CONTENT
        with socket.create_server(("127.0.0.1", 0)) as sock:
            async with serve(inbox, sock=sock) as server:
                peer = await Peer.connect(server)
                await peer.close()

    run(main())


def test_session_knows_its_connection() -> None:
    class Handler:
        def on_connect(self, event: ehlo.ConnectEvent) -> None:
            session = event.session
            assert isinstance(session, ehlo.aio.ServerSession) and session.peer[0] == "127.0.0.1"
            session.state["greeted"] = True

        def on_mail(self, event: ehlo.MailEvent) -> None:
            assert event.session.state == {"greeted": True}
            event.accept()

    assert asyncio.run(dialogue(Handler(), HELLO + ENVELOPE, 3)) == [250, 250, 451]


# ---- no leak ----


def test_freed_at_once() -> None:
    """What a connection was is gone with it, without the help of gc."""

    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)
        async with serve(Inbox()) as server:
            peer = await Peer.connect(server)
            await peer.say(MESSAGE, 4)
            gone = weakref.ref(next(iter(server.connections))._session)
            await peer.say(b"x\r\n.\r\n")
            await peer.close()
            await eventually(lambda: not server.connections)
            await asyncio.sleep(0)
            assert gone() is None

    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()


def test_memory_is_flat_over_10000_sessions() -> None:
    """Over sockets that are no connections, so that it is not the kernel that is measured."""

    class Handler(Inbox):
        async def on_rcpt(self, event: ehlo.RcptEvent) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            event.accept()

        async def deliver(self, envelope: ehlo.aio.Envelope) -> None:
            await asyncio.sleep(0)

    class Transport(asyncio.Transport):
        def __init__(self, protocol: Any) -> None:
            super().__init__()
            self.protocol = protocol
            self.written = b""

        def write(self, data: Any) -> None:
            self.written += bytes(data)

        def close(self) -> None:
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

        abort = close

        def pause_reading(self) -> None: ...
        def resume_reading(self) -> None: ...

    async def main() -> None:
        from ehlo.aio._connection import Connection

        loop = asyncio.get_running_loop()
        loop.set_debug(False)
        async with serve(Handler()) as server:

            async def session(quits: bool) -> None:
                connection = Connection(server, loop)
                transport = Transport(connection)
                connection.connection_made(transport)
                for octets in (HELLO + ENVELOPE, b"DATA\r\n", b"x\r\n.\r\n", b"QUIT\r\n" if quits else ENVELOPE):
                    connection.get_buffer(-1)[: len(octets)] = octets
                    connection.buffer_updated(len(octets))
                    for _ in range(6):
                        await asyncio.sleep(0)
                if not quits:
                    transport.abort()
                await asyncio.sleep(0)
                assert transport.written.count(b"\r\n250 ") >= 3
                assert transport.written.endswith(b"channel\r\n") is quits

            for number in range(1000):
                await session(number % 2 == 0)
            gc.collect()
            objects, before = len(gc.get_objects()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for number in range(10000):
                await session(number % 2 == 0)
            assert not server.connections
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            gc.collect()
            assert len(gc.get_objects()) - objects < 200
            assert after - before < 4096  # KiB

    asyncio.run(main())
