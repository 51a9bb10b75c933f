"""What the tests of ehlo.aio share."""

from __future__ import annotations

import asyncio
import pathlib
import ssl
import subprocess
from typing import Any

import ehlo
import ehlo.aio

HELLO = b"EHLO client.example.org\r\n"
ENVELOPE = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n"
MESSAGE = HELLO + ENVELOPE + b"DATA\r\n"
CONTENT = b"Subject: test\r\n\r\n.line\r\n"


class Inbox:
    """Takes everything but what is for `refused`."""

    def __init__(self) -> None:
        self.envelopes: list[ehlo.aio.Envelope] = []
        self.ends: list[ehlo.End] = []

    def on_rcpt(self, event: ehlo.RcptEvent) -> None:
        if event.path.local_part.startswith("refused"):
            event.reject(550, "5.1.1", "No such user")
        else:
            event.accept()

    def on_end(self, event: ehlo.EndEvent) -> None:
        self.ends.append(event.reason)

    async def deliver(self, envelope: ehlo.aio.Envelope) -> None:
        self.envelopes.append(envelope)


def run(main: Any) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


def serve(handler: object, **options: Any) -> Any:
    options.setdefault("config", "mx.example.org")
    options.setdefault("port", 0)
    return ehlo.aio.serve(handler, **options)


class Peer:
    """Speaks octet for octet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, server: Any, greeting: bool = True, **options: Any) -> Peer:
        peer = cls(*await asyncio.open_connection("127.0.0.1", server.port, **options))
        if greeting:
            assert await peer.code() == 220
        return peer

    async def reply(self) -> list[str]:
        lines = []
        while not lines or lines[-1][3:4] == "-":
            line = await asyncio.wait_for(self.reader.readline(), 10)
            if not line:
                raise EOFError
            lines.append(line.decode().rstrip())
        return lines

    async def code(self) -> int:
        return int((await self.reply())[0][:3])

    async def say(self, octets: bytes, replies: int = 1) -> list[int]:
        self.writer.write(octets)
        return [await self.code() for _ in range(replies)]

    async def gone(self) -> bool:
        """Is there nothing more, and the connection closed?"""
        try:
            return await asyncio.wait_for(self.reader.read(), 10) == b""
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass
        await asyncio.sleep(0)  # the transport closes its socket only then


def certificate(directory: pathlib.Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server for localhost, and of a client that trusts it."""
    key, chain = directory / "key.pem", directory / "chain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(chain)],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    return server, ssl.create_default_context(cafile=str(chain))


async def eventually(condition: Any, seconds: float = 5) -> None:
    """Waits until that is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
