"""ehlo.aio's client: what it says, what comes of it, and how it is left."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import pathlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import pytest

import ehlo
import ehlo.aio
from aio import CONTENT, Inbox, certificate, eventually, run, serve
from ehlo.aio._sasl import Scram, prepared
from ehlo.enums import Extension, Mechanism

CLIENT = ehlo.ClientConfig(hostname="client.example.org", allow_plaintext_auth=True)


def connect(server: Any, **options: Any) -> Any:
    options.setdefault("config", CLIENT)
    return ehlo.aio.connect("127.0.0.1", server.port, **options)


def letter(text: str = "Größe\n", **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {"From": "A <a@example.org>", "To": "b@example.org", "Subject": "test", **headers}.items():
        message[name] = value
    message.set_content(text, cte="8bit")
    return message


def text(envelope: ehlo.aio.Envelope) -> str:
    content: str = envelope.message().get_content()
    return content.replace("\r\n", "\n")


@asynccontextmanager
async def scripted(*steps: bytes, stall: bool = True) -> AsyncIterator[Any]:
    """A server that says one thing after each read, and then nothing any more, or closes."""

    class Script:
        port = said = 0
        heard = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for number, step in enumerate(steps):
                if number:
                    heard = await reader.read(65536)
                    Script.heard += heard
                writer.write(step)
                Script.said = number + 1
            while stall and await reader.read(65536):
                pass
        except ConnectionError:
            pass
        writer.transport.abort()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    Script.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield Script
    await asyncio.sleep(0.01)


def test_a_message_and_its_results() -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox) as server, connect(server) as connection:
            result = await connection.send(letter(Cc="refused@example.org", Bcc="c@example.org"))
            assert result.accepted == ["b@example.org", "c@example.org"]
            assert result.refused == {"refused@example.org": ehlo.Reply(550, (5, 1, 1), ("No such user",))}
            assert (result.reply.code, str(result.reply.enhanced)) == (250, "2.6.0")
            envelope = inbox.envelopes[-1]
            assert envelope.mail_from == "a@example.org" and envelope.hello == "client.example.org"
            assert envelope.message()["Bcc"] is None and text(envelope) == "Größe\n"
            assert envelope.mail_parameters.body is ehlo.BodyType.EIGHTBITMIME
            assert envelope.mail_parameters.size == len(envelope.content)
            for content in (b".a\n..b\n", b"\r\n" * 100_000, b"." * 200_000 + b"\r\n"):
                await connection.send(content, sender="", recipients="<b@example.org>")
                assert inbox.envelopes[-1].content == (content if b"\r" in content else content.replace(b"\n", b"\r\n"))
            assert (await connection.noop()).code == 250 and not connection.closed
            assert len(inbox.envelopes) == 4 == connection.session.pending + 4
        assert connection.closed
        with pytest.raises(ehlo.ConnectionLost):
            await connection.send(CONTENT, sender="", recipients=["b@example.org"])

    run(main())


@pytest.mark.parametrize("chunking", list(ehlo.Chunking))
def test_large_content(chunking: ehlo.Chunking) -> None:
    async def main() -> None:
        inbox = Inbox()
        content = b"".join(b".%d line\r\n" % number for number in range(300_000))
        config = ehlo.ClientConfig(hostname="client.example.org", chunking=chunking)
        async with serve(inbox) as server, connect(server, config=config) as connection:
            for _ in range(2):
                await connection.send(content, sender="", recipients="b@example.org")
                assert inbox.envelopes.pop().content == content

    run(main())


def test_refusals() -> None:
    class Handler(Inbox):
        def on_mail(self, event: ehlo.MailEvent) -> None:
            if event.path.local_part == "nobody":
                event.reject(550, "5.7.1", "Not you")

        async def deliver(self, envelope: ehlo.aio.Envelope) -> None:
            if b"spam" in envelope.content:
                raise ehlo.aio.Reject(451, "4.7.1", "Later")
            await super().deliver(envelope)

    async def main() -> None:
        config = ehlo.ServerConfig(hostname="mx.example.org", max_message_size=1000)
        pipelined = ehlo.ServerConfig(hostname="mx.example.org", max_message_size=1000, withhold=[Extension.PIPELINING])
        for each in (config, pipelined):
            async with serve(Handler(), config=each) as server, connect(server) as connection:
                with pytest.raises(ehlo.SenderRefused, match="550 5.7.1 Not you") as sender:
                    await connection.send(CONTENT, sender="nobody@example.org", recipients="b@example.org")
                assert not sender.value.temporary and sender.value.reply is not None and sender.value.reply.code == 550
                names = ["refused@example.org", "refused2@example.org"]
                with pytest.raises(ehlo.RecipientsRefused) as nobody:
                    await connection.send(CONTENT, sender="", recipients=names)
                assert {name: reply.code for name, reply in nobody.value.replies.items()} == dict.fromkeys(names, 550)
                with pytest.raises(ehlo.MessageRefused) as message:
                    await connection.send(b"spam\r\n", sender="", recipients="b@example.org")
                assert message.value.temporary and message.value.replies["b@example.org"].code == 250
                for arguments in (
                    {"message": b"x" * 2000 + b"\r\n"},
                    {"recipients": ["b@example.org", "a b"]},
                    {"sender": "a@example.org>\r\nRCPT TO:<x@example.org"},
                    {"mail": ehlo.MailParameters(ret=ehlo.Ret.FULL)},
                ):
                    given: Any = {"message": CONTENT, "sender": "", "recipients": "b@example.org", **arguments}
                    with pytest.raises(ehlo.UnsupportedError) as unsupported:
                        await connection.send(given.pop("message"), **given)
                    assert isinstance(unsupported.value.__cause__, ehlo.HostError) and not unsupported.value.temporary
                for content in (b"a\rb", b"a\r"):
                    with pytest.raises(ehlo.BareNewlineError):
                        await connection.send(content, sender="", recipients="b@example.org")
                with pytest.raises(ValueError):
                    await connection.send(CONTENT, sender="", recipients=[])
                assert (await connection.send(CONTENT, sender="", recipients="b@example.org")).reply.code == 250

    run(main())


def test_parameters() -> None:
    async def main() -> None:
        inbox = Inbox()
        config = ehlo.ServerConfig(hostname="mx.example.org", offer=[Extension.DSN])
        async with serve(inbox, config=config) as server, connect(server) as connection:
            await connection.send(
                CONTENT,
                sender="a@example.org",
                recipients=["b@example.org", "c@example.org"],
                mail=ehlo.MailParameters(ret=ehlo.Ret.HDRS, envid="x"),
                rcpt={"b@example.org": ehlo.RcptParameters(notify=ehlo.Notify.SUCCESS)},
            )
            (envelope,) = inbox.envelopes
            assert envelope.mail_parameters.envid == "x" and envelope.mail_parameters.ret is ehlo.Ret.HDRS
            assert [each.notify for each in envelope.rcpt_parameters] == [ehlo.Notify.SUCCESS, ehlo.Notify.NONE]

    run(main())


def test_what_the_server_does_not_offer() -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox) as server, connect(server) as connection:
            await connection.send(letter(), sender="ä@example.org", recipients="b@exämple.org")
            assert inbox.envelopes[-1].mail_parameters.smtputf8 and inbox.envelopes[-1].recipients == ["b@exämple.org"]
            await connection.send(letter(To="ü@example.org"))
            assert "To: ü@example.org".encode() in inbox.envelopes[-1].content
            await connection.send("Subject: ü\n\nx".encode(), sender="", recipients="b@example.org")
            assert inbox.envelopes[-1].mail_parameters.smtputf8
        withhold = [Extension.SMTPUTF8, Extension.EIGHTBITMIME]
        config = ehlo.ServerConfig(hostname="mx.example.org", withhold=withhold)
        async with serve(inbox, config=config) as server, connect(server) as connection:
            await connection.send(letter(To="B <b@exämple.org>"))
            envelope = inbox.envelopes[-1]
            assert envelope.recipients == ["b@xn--exmple-cua.org"] and envelope.content.isascii()
            assert envelope.message()["To"].addresses[0].domain == "xn--exmple-cua.org"
            assert text(envelope) == "Größe\n"
            await connection.send(letter().as_bytes(), sender="", recipients="b@example.org")
            assert inbox.envelopes[-1].content.isascii()
            assert text(inbox.envelopes[-1]) == "Größe\n"
            for message, sender in (
                (letter(To="ü@example.org"), "a@example.org"),
                (letter(), "ü@example.org"),
                ("Subject: ü\n\nx".encode(), ""),
                (b"Content-Transfer-Encoding: binary\n\n\xff", ""),
            ):
                with pytest.raises(ehlo.UnsupportedError):
                    await connection.send(message, sender=sender, recipients="b@example.org")
            assert (await connection.noop()).code == 250

    run(main())


NOTIFY: Any = "never"


@pytest.mark.parametrize(
    "wrong", [{"recipients": "\ud800@example.org"}, {"rcpt": ehlo.RcptParameters(notify=NOTIFY)}, {"rcpt": 5}]
)
def test_what_fails_half_way_leaves_a_connection_that_can_be_used(wrong: dict[str, Any]) -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox) as server, connect(server) as connection:
            arguments: dict[str, Any] = {"sender": "a@example.org", "recipients": "b@example.org"}
            with pytest.raises((AttributeError, ValueError)):
                await connection.send(CONTENT, **{**arguments, **wrong})
            result = await connection.send(CONTENT, **arguments)
            assert result.accepted == ["b@example.org"] and len(inbox.envelopes) == 1

    run(main())


def test_a_connection_is_lost_as_soon_as_a_message_is_given_up() -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox) as server, connect(server) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await connection.send(CONTENT, sender="a@example.org", recipients="b@example.org")
            assert connection.closed
            with pytest.raises(ehlo.ConnectionLost):  # without a turn of the loop between
                await connection.send(CONTENT, sender="a@example.org", recipients="b@example.org")

    run(main())


def test_lmtp() -> None:
    class Handler:
        def on_rcpt(self, event: ehlo.RcptEvent) -> None:
            event.accept()

        async def on_result(self, event: ehlo.ResultEvent) -> None:
            if event.ordinal == 1 or event.octets == 6:
                event.reject(552, "5.2.2", "Full")
            else:
                event.accept()

    async def main() -> None:
        config = ehlo.ServerConfig(hostname="mx.example.org", preset=ehlo.Preset.LMTP)
        async with serve(Handler(), config=config) as server, connect(server, lmtp=True) as connection:
            names = [f"{name}@example.org" for name in "abc"]
            result = await connection.send(b"x\r\n", sender="", recipients=names)
            assert result.accepted == [names[0], names[2]] and result.refused[names[1]].text == "Full"
            with pytest.raises(ehlo.MessageRefused) as refused:
                await connection.send(b"four\r\n", sender="", recipients=names)
            assert {reply.code for reply in refused.value.replies.values()} == {552}

    run(main())


def test_tasks_take_turns() -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox) as server, connect(server) as connection:
            tasks = [
                asyncio.create_task(connection.send(b"%d\r\n" % number, sender="", recipients="b@example.org"))
                for number in range(10)
            ]
            await asyncio.sleep(0)
            tasks[5].cancel()  # which only waits for its turn
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[5], asyncio.CancelledError) and not connection.closed
            assert [int(each.content) for each in inbox.envelopes] == [0, 1, 2, 3, 4, 6, 7, 8, 9]

    run(main())


# ---- how it ends ----

GREETED = (b"220 mx.example.org\r\n", b"250-mx.example.org\r\n250 8BITMIME\r\n")
UNTIL_DATA = (*GREETED, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")


@pytest.mark.parametrize("count", range(len(UNTIL_DATA) + 1))
def test_cancelled_in_every_state(count: int) -> None:
    """Whatever the server has said: who is cancelled leaves a connection that is closed."""

    async def main() -> None:
        async with scripted(*UNTIL_DATA[:count]) as server:
            opened: list[Any] = []

            async def sender() -> None:
                connection = await connect(server)
                opened.append(connection)
                await connection.send(CONTENT, sender="", recipients="b@example.org")

            task = asyncio.create_task(sender())
            await eventually(lambda: server.said == count and len(opened) == (count >= 2))
            await asyncio.sleep(0.05)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)
            for connection in opened:
                assert connection.closed
                with pytest.raises(ehlo.ConnectionLost):
                    await connection.noop()
                await connection.quit()

    run(main())


@pytest.mark.parametrize("count", range(len(UNTIL_DATA) + 1))
def test_the_server_leaves_in_every_state(count: int) -> None:
    async def main() -> None:
        async with scripted(*UNTIL_DATA[:count], stall=False) as server:
            with pytest.raises(ehlo.SendError) as caught:
                async with connect(server) as connection:
                    await connection.send(CONTENT, sender="", recipients="b@example.org")
            assert type(caught.value) is (ehlo.ConnectError if count < 2 else ehlo.ConnectionLost)
            assert caught.value.temporary
            if count >= 2:
                assert isinstance(caught.value, ehlo.ConnectionLost)

    run(main())


def test_in_doubt() -> None:
    async def main() -> None:
        for steps, doubt in ((UNTIL_DATA[:-1], False), ((*UNTIL_DATA, b""), True)):
            async with scripted(*steps, stall=False) as server:
                connection = await connect(server)
                with pytest.raises(ehlo.ConnectionLost) as caught:
                    await connection.send(CONTENT, sender="", recipients="b@example.org")
                assert caught.value.in_doubt is doubt
                await connection.quit()

    run(main())


@pytest.mark.parametrize(
    "steps, kind, text",
    [
        ((b"554 no\r\n", b"221 bye\r\n"), ehlo.ConnectError, "554 no"),
        ((b"220 x\r\n", b"550 no\r\n", b"221 bye\r\n"), ehlo.ConnectError, "550 no"),
        ((b"hello\r\n",), ehlo.ConnectError, "no session"),
        ((*GREETED, b"250 ok\r\n421 4.3.2 bye\r\n"), ehlo.ConnectionLost, "421"),
        ((*GREETED, b"999 what\r\n"), ehlo.ConnectionLost, "lost"),
    ],
)
def test_servers_that_do_not_want(steps: tuple[bytes, ...], kind: type[ehlo.SendError], text: str) -> None:
    async def main() -> None:
        async with scripted(*steps) as server:
            with pytest.raises(kind, match=text) as caught:
                async with connect(server) as connection:
                    await connection.send(CONTENT, sender="", recipients="b@example.org")
            if b"999" in steps[-1]:
                assert isinstance(caught.value.__cause__, ehlo.ProtocolViolation)

    run(main())


def test_helo() -> None:
    async def main() -> None:
        steps = (b"220 x\r\n", b"502 no\r\n", b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n")
        async with scripted(*steps, b"221 bye\r\n") as server:
            result = await ehlo.aio.send(
                CONTENT, sender="", recipients="b@example.org", host="127.0.0.1", port=server.port, config=CLIENT
            )
            assert result.reply == ehlo.Reply(250, None, ("ok",))

    run(main())


def test_timeouts() -> None:
    async def main() -> None:
        config = ehlo.ClientConfig(hostname="client.example.org", command_timeout=1, greeting_timeout=1)
        async with scripted(*GREETED) as server:
            with pytest.raises(ehlo.ConnectionLost) as caught:
                async with connect(server, config=config) as connection:
                    await connection.send(CONTENT, sender="", recipients="b@example.org")
            assert isinstance(caught.value.__cause__, TimeoutError)
        async with scripted() as server:
            with pytest.raises(ehlo.ConnectError):
                await connect(server, config=config)
            with pytest.raises(ehlo.ConnectError, match="within 0.1"):
                await connect(server, timeout=0.1)
        with pytest.raises(ehlo.ConnectError) as refused:
            await connect(server)
        assert isinstance(refused.value.__cause__, OSError)

    run(main())


def test_a_server_that_does_not_read() -> None:
    async def main() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for number, step in enumerate(UNTIL_DATA):
                if number:
                    await reader.read(65536)
                writer.write(step)
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            await done.wait()
            writer.transport.abort()

        done = asyncio.Event()
        listener = await asyncio.start_server(talk, "127.0.0.1", 0)
        async with listener:
            connection = await ehlo.aio.connect("127.0.0.1", listener.sockets[0].getsockname()[1], config=CLIENT)
            content = b"x" * 998 + b"\r\n"
            task = asyncio.create_task(connection.send(content * 30_000, sender="", recipients="b@example.org"))
            await eventually(lambda: connection._wire._blocked)
            await asyncio.sleep(0.1)
            assert connection.transport.get_write_buffer_size() < 500_000
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await eventually(lambda: connection._wire.lost.done())
            done.set()

    run(main())


# ---- TLS ----


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


def test_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        inbox = Inbox()
        ours: dict[str, Any] = {"context": contexts[1], "server_hostname": "localhost"}
        async with serve(inbox, starttls=contexts[0]) as server:
            for mode, tls in (("try", True), ("require", True), ("off", False)):
                async with connect(server, starttls=mode, **ours) as connection:
                    await connection.send(b"x\r\n" * 200_000, sender="", recipients="b@example.org")
                    assert connection.tls is inbox.envelopes[-1].tls is tls
                    assert len(inbox.envelopes[-1].content) == 600_000
            for wrong in ({}, {"context": contexts[1], "server_hostname": "example.org"}):
                with pytest.raises(ehlo.TLSError) as caught:
                    await connect(server, **wrong)
                assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            with pytest.raises(ehlo.TLSError):
                await connect(server, tls=True, **ours)
        async with serve(inbox, ssl=contexts[0]) as server:
            async with connect(server, tls=True, **ours) as connection:
                await connection.send(CONTENT, sender="", recipients="b@example.org")
                assert connection.tls and inbox.envelopes[-1].tls
            with pytest.raises(ehlo.TLSError):
                await connect(server, tls=True)
        async with serve(inbox) as server:
            with pytest.raises(ehlo.TLSError, match="does not offer"):
                await connect(server, starttls="require")

    run(main())


def test_octets_slipped_in_behind_starttls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        steps = (b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250 AUTH PLAIN\r\n")
        async with scripted(*steps) as server:
            with pytest.raises(ehlo.TLSError) as caught:
                await connect(server, context=contexts[1], server_hostname="localhost")
            assert isinstance(caught.value.__cause__, ehlo.ProtocolViolation)

    run(main())


# ---- AUTH ----


class Users(Inbox):
    """One user, by every mechanism: tim, tanstaaf."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Mechanism] = []
        self.steps: list[Any] = []
        self.lies = False

    def on_auth(self, event: ehlo.AuthEvent) -> None:
        self.seen.append(event.credentials.mechanism)
        if event.credentials.mechanism == Mechanism.EXTERNAL or event.credentials.secret in ("tanstaaf", "t0ken"):
            event.accept()
        else:
            event.reject()

    async def on_step(self, event: ehlo.StepEvent) -> None:
        self.seen.append(event.mechanism)
        if event.mechanism == Mechanism.CRAM_MD5:
            challenge = b"<1896.697170952@postoffice.example.net>"
            if not event.response:
                event.challenge(challenge)
            elif event.response == b"tim " + hmac.new(b"tanstaaf", challenge, "md5").hexdigest().encode():
                event.accept()
            else:
                event.reject()
            return
        name = "sha256" if event.mechanism == Mechanism.SCRAM_SHA_256 else "sha1"
        assert event.response is not None
        self.steps.append(event.response)
        if len(self.steps) == 1:
            self.first = event.response.decode().removeprefix("n,,")
            nonce = self.first.partition("r=")[2]
            self.server = f"r={nonce}more,s=c2FsdA==,i=4096"
            event.challenge(self.server.encode())
        elif len(self.steps) == 2:
            bare, _, proof = event.response.decode().rpartition(",p=")
            salted = hashlib.pbkdf2_hmac(name, b"tanstaaf", b"salt", 4096)
            message = f"{self.first},{self.server},{bare}".encode()
            key = hmac.new(salted, b"Client Key", name).digest()
            mask = hmac.new(hashlib.new(name, key).digest(), message, name).digest()
            if ehlo.base64_decode(proof) != bytes(a ^ b for a, b in zip(key, mask)):
                self.steps.clear()
                event.reject()
                return
            signature = hmac.new(hmac.new(salted, b"Server Key", name).digest(), message, name).digest()
            event.challenge(b"v=" + ehlo.base64_encode(b"lie" if self.lies else signature).encode())
        else:
            self.steps.clear()
            event.accept()


def offering(*mechanisms: Mechanism) -> ehlo.ServerConfig:
    return ehlo.ServerConfig(
        hostname="mx.example.org", offer=[Extension.AUTH], mechanisms=mechanisms, allow_plaintext_auth=True
    )


@pytest.mark.parametrize(
    "mechanism",
    [Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.CRAM_MD5, Mechanism.SCRAM_SHA_1, Mechanism.SCRAM_SHA_256],
)
def test_auth_by_password(mechanism: Mechanism) -> None:
    async def main() -> None:
        users = Users()
        async with serve(users, config=offering(mechanism)) as server:
            async with connect(server, user="tim", password="tanstaaf") as connection:
                assert connection.session.authenticated and users.seen[0] is mechanism
                await connection.send(CONTENT, sender="", recipients="b@example.org")
            with pytest.raises(ehlo.AuthenticationError) as caught:
                await connect(server, user="tim", password="wrong")
            assert caught.value.reply is not None and caught.value.reply.code == 535
            assert "wrong" not in str(caught.value)

    run(main())


def test_auth_by_token() -> None:
    async def main() -> None:
        for mechanism in (Mechanism.OAUTHBEARER, Mechanism.XOAUTH2):
            users = Users()
            async with serve(users, config=offering(mechanism)) as server:
                async with connect(server, user="tim", token="t0ken"):
                    assert users.seen == [mechanism]
                with pytest.raises(ehlo.AuthenticationError):
                    await connect(server, user="tim", token="wrong")

    run(main())


def test_the_strongest_mechanism() -> None:
    async def main() -> None:
        users = Users()
        both = (Mechanism.LOGIN, Mechanism.PLAIN, Mechanism.SCRAM_SHA_1, Mechanism.SCRAM_SHA_256, Mechanism.CRAM_MD5)
        async with serve(users, config=offering(*both)) as server:
            async with connect(server, user="tim", password="tanstaaf"):
                assert set(users.seen) == {Mechanism.SCRAM_SHA_256}
            async with connect(server, user="tim", password="tanstaaf", mechanisms=[Mechanism.LOGIN]):
                assert users.seen[-1] is Mechanism.LOGIN
            with pytest.raises(ehlo.AuthenticationError, match="no mechanism"):
                await connect(server, user="tim", token="t0ken")
            users.lies = True
            with pytest.raises(ehlo.AuthenticationError, match="does not know the password"):
                await connect(server, user="tim", password="tanstaaf")
            no_clear = ehlo.ClientConfig(hostname="client.example.org")
            with pytest.raises(ehlo.AuthenticationError) as caught:
                await connect(server, config=no_clear, user="tim", password="tanstaaf", mechanisms=[Mechanism.PLAIN])
            assert isinstance(caught.value.__cause__, ehlo.TlsRequiredError)

    run(main())


def test_a_server_that_does_not_prove_itself() -> None:
    async def main() -> None:
        steps = (b"220 x\r\n", b"250-x\r\n250 AUTH SCRAM-SHA-256\r\n", b"235 ok\r\n")
        async with scripted(*steps) as server:
            with pytest.raises(ehlo.AuthenticationError, match="has not proved"):
                await connect(server, user="tim", password="tanstaaf")

    run(main())


@pytest.mark.parametrize(
    "name, nonce, challenge, proof, final",
    [
        (  # RFC 5802 5
            "sha1",
            "fyko+d2lbbFgONRv9qkxdawL",
            b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (  # RFC 7677 3
            "sha256",
            "rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ],
)
def test_scram(name: str, nonce: str, challenge: bytes, proof: bytes, final: bytes) -> None:
    async def main() -> None:
        scram = Scram(name, "user", "pencil", nonce=nonce)
        assert scram.first == b"n,,n=user,r=" + nonce.encode()
        assert await scram.answer(challenge) == proof and not scram.verified
        assert await scram.answer(final) == b"" and scram.verified
        spoilt: list[Callable[[bytes], bytes]] = [
            lambda octets: octets.replace(b"r=", b"r=x"),
            lambda octets: octets.replace(b"i=4096", b"i=0"),
            lambda octets: octets.replace(b"i=4096", b"i=99999999999"),
            lambda octets: b"m=x," + octets,
            lambda octets: octets[:30],
            lambda octets: b"\xff",
        ]
        for spoil in spoilt:
            with pytest.raises(ehlo.AuthenticationError):
                await Scram(name, "user", "pencil", nonce=nonce).answer(spoil(challenge))

    run(main())


def test_saslprep() -> None:
    """The examples of RFC 4013 3."""
    assert prepared("I\u00adX") == "IX" and prepared("\u00aa") == "a" and prepared("\u2168") == "IX"
    for text in ("\u0007", "\u0627\u0031"):
        with pytest.raises(ehlo.AuthenticationError):
            prepared(text)


def test_passwords_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serve(Users(), config=offering(Mechanism.PLAIN)) as server:
            async with connect(server, user="tim", password="tanstaaf"):
                pass

    with caplog.at_level(logging.DEBUG):
        run(main())
    assert "tanstaaf" not in caplog.text


@pytest.mark.parametrize("chunking", [ehlo.Chunking.NEVER, ehlo.Chunking.ALWAYS])
def test_a_small_message_is_two_writes(chunking: ehlo.Chunking) -> None:
    class Counting:
        def __init__(self, transport: asyncio.Transport) -> None:
            self.transport = transport
            self.writes: list[bytes] = []

        def __getattr__(self, name: str) -> Any:
            return getattr(self.transport, name)

        def write(self, octets: bytes) -> None:
            self.writes.append(octets)
            self.transport.write(octets)

    async def main() -> None:
        inbox = Inbox()
        config = ehlo.ClientConfig(hostname="client.example.org", chunking=chunking)
        async with serve(inbox) as server:
            async with ehlo.aio.connect("127.0.0.1", server.port, config=config) as connection:
                wire: Any = connection._wire
                wire.transport = counting = Counting(wire.transport)
                await connection.send(CONTENT, sender="a@example.org", recipients="b@example.org")
                assert inbox.envelopes[0].content == CONTENT
                assert len(counting.writes) == 2

    run(main())
