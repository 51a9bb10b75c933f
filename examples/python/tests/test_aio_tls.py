"""ehlo.aio.serve under TLS: STARTTLS, and TLS from the beginning."""

from __future__ import annotations

import asyncio
import ssl

import pytest

import ehlo
from aio import ENVELOPE, HELLO, MESSAGE, Inbox, Peer, certificate, eventually, run, serve


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


def test_starttls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox, starttls=contexts[0]) as server:
            peer = await Peer.connect(server)
            peer.writer.write(HELLO)
            assert "250-STARTTLS" in await peer.reply()
            assert await peer.say(b"STARTTLS\r\n") == [220]
            await peer.writer.start_tls(contexts[1], server_hostname="localhost")
            assert await peer.say(b"MAIL FROM:<a@example.org>\r\n") == [503]  # what was said before is forgotten
            peer.writer.write(HELLO)
            assert "250-STARTTLS" not in await peer.reply()
            assert await peer.say(ENVELOPE + b"DATA\r\n", 3) == [250, 250, 354]
            assert await peer.say(b"x\r\n" * 100_000 + b".\r\n") == [250]
            assert inbox.envelopes[0].tls
            await peer.close()
        config = ehlo.ServerConfig(hostname="mx.example.org", offer=[ehlo.Extension.STARTTLS])
        async with serve(inbox, config=config) as server:
            peer = await Peer.connect(server)
            peer.writer.write(HELLO)
            assert "250-STARTTLS" not in await peer.reply()  # it could not be done
            await peer.close()

    run(main())


@pytest.mark.parametrize("apart", [False, True])
def test_octets_slipped_in_behind_starttls(apart: bool, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    class Handler(Inbox):
        violations: list[ehlo.Violation] = []
        mails = 0

        def on_violation(self, event: ehlo.ViolationEvent) -> None:
            self.violations.append(event.kind)

        def on_mail(self, event: ehlo.MailEvent) -> None:
            self.mails += 1
            event.accept()

    async def main() -> None:
        handler = Handler()
        Handler.violations = []
        async with serve(handler, starttls=contexts[0]) as server:
            peer = await Peer.connect(server)
            await peer.say(HELLO)
            if apart:
                assert await peer.say(b"STARTTLS\r\n") == [220]
                peer.writer.write(HELLO + b"MAIL FROM:<a@example.org>\r\n")
            else:
                peer.writer.write(b"STARTTLS\r\n" + HELLO + b"MAIL FROM:<a@example.org>\r\n")
            rest = b""
            try:
                rest = await asyncio.wait_for(peer.reader.read(), 10)
            except ConnectionResetError:
                pass
            assert b"250" not in rest and handler.mails == 0
            assert apart or handler.violations == [ehlo.Violation.BEFORE_TLS]
            await eventually(lambda: not server.connections)
            await peer.close()

    run(main())


def test_implicit_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox, ssl=contexts[0]) as server:
            peer = await Peer.connect(server, ssl=contexts[1], server_hostname="localhost")
            codes = await peer.say(MESSAGE, 4)
            assert codes == [250, 250, 250, 354]
            assert await peer.say(b"x\r\n.\r\nQUIT\r\n", 2) == [250, 221]
            assert inbox.envelopes[0].tls and await peer.gone()
            await peer.close()
            plain = await Peer.connect(server, greeting=False)
            plain.writer.write(HELLO)
            assert b"220" not in await plain.reader.read()
            await plain.close()

    run(main())


def test_a_handshake_that_does_not_come(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        async with serve(Inbox(), starttls=contexts[0], handshake_timeout=0.2) as server:
            peer = await Peer.connect(server)
            await peer.say(HELLO)
            assert await peer.say(b"STARTTLS\r\n") == [220]
            await eventually(lambda: not server.connections)
            await peer.close()
            peer = await Peer.connect(server)
            await peer.say(HELLO + b"STARTTLS\r\n", 2)
            await server.stop(grace=0)  # in the midst of it
            await peer.close()

    run(main())


def test_connections_before_their_handshake_count(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """With TLS from the beginning, too: they are limited, and none is left when the server has stopped."""

    async def main() -> None:
        async with serve(Inbox(), host="localhost", ssl=contexts[0], max_connections=2) as server:
            silent = [await Peer.connect(server, greeting=False) for _ in range(2)]
            await eventually(lambda: len(server.connections) == 2)
            third = await Peer.connect(server, greeting=False)
            assert await third.gone()
            await server.stop(0)
            for peer in silent:
                assert await peer.gone()
            for peer in (*silent, third):
                await peer.close()

    run(main())
