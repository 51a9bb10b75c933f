"""A connection of a client: between a transport and a session, and what the server has said."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable
from typing import Any

from .._binding import decode, lib, stray, text_of
from .._client import Client
from .._grammar import Reply
from .._session import ReceiveBuffer
from ..client_events import (
    ClientChallengeEvent,
    ClientEndEvent,
    ClientHelloEvent,
    ClientLineEvent,
    ClientViolationEvent,
)
from ..config import ClientConfig
from ..enums import VERBS, ClientEventType, End, Verb
from ..errors import ConnectionLost, HostError, ProtocolViolation, SpaceError
from ..values import enhanced_of
from ._clock import Clock

log = logging.getLogger("ehlo")

_FEED: int = lib.EHLO_WANT_FEED
_CONTENT: int = lib.EHLO_WANT_CONTENT
_TLS: int = lib.EHLO_WANT_TLS
_CLOSE: int = lib.EHLO_WANT_CLOSE

_REPLY = int(ClientEventType.REPLY)
_PIECE = 131072
_TURNS = 16  # pieces, then others have theirs


class _Shared(threading.local):
    def __init__(self) -> None:
        self.buffer = ReceiveBuffer(16384)


_shared = _Shared()


class Wire(asyncio.BufferedProtocol):
    """The handler of the session, too. One coroutine at a time waits here."""

    def __init__(self, config: ClientConfig, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = _shared.buffer
        self.client = client = Client(config)
        client.handler = handler = _Handler(self)
        client._direct = {_REPLY: handler.take_reply}
        client._user.wanted |= 1 << _REPLY
        self._want = 0  # as of the last look
        self._clock = Clock(loop, client, self._timed_out)
        self.transport: asyncio.Transport
        self.lost: asyncio.Future[None] = loop.create_future()
        self._waiter: asyncio.Future[None] | None = None
        self._blocked = False
        self._aborted = False
        self._early: bytearray | None = None
        self.error: BaseException | None = None
        # What the server said.
        self.replies: dict[Verb, Reply] = {}
        self.recipients: dict[int, Reply] = {}
        self.results: dict[int, Reply] = {}
        self.end: ClientEndEvent | None = None
        self.hellos = 0
        self.challenges: list[bytes] = []
        self.last: Reply | None = None
        self.in_doubt = False
        self._lines: list[str] = []

    # ---- from the transport ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        if self._early is not None:
            self._early += self._buffer.view[:nbytes]
            return
        client = self.client
        if client._held or client._ended:
            self._call(lambda: client.received(self._buffer, nbytes))
            return
        try:
            output, code = client._receive(self._buffer, nbytes)
            self._looked(output)
            if code or stray or client._raised is not None:
                client._after(code)
        except HostError as error:
            self._broken(error)
        self._wake()

    def eof_received(self) -> bool:
        self._call(self.client.eof)
        return False

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.lost.done():
            return
        self.lost.set_result(None)
        self._clock.stop()
        if exc is not None and self.error is None:
            self.error = exc
        self._call(self.client.eof)
        client = self.client
        client._methods = [None] * len(client._methods)  # which point here
        client._direct = {}

    def _timed_out(self) -> None:
        self.error = TimeoutError("the server was silent for too long")
        self._call(self.client.timed_out)

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except HostError as error:
            self._broken(error)
        self._look()
        self._wake()

    def _broken(self, error: HostError) -> None:
        log.error("in a session", exc_info=error)
        self.error = error
        self.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- for the coroutine ----

    @property
    def want(self) -> int:
        return self.client._core.get(lib.ehlo_client_want)  # type: ignore[no-any-return]

    @property
    def over(self) -> bool:
        """Is the session at its end?"""
        return self._aborted or self.lost.done() or bool(self.want & _CLOSE)

    def _look(self) -> None:
        """Sends what there is, and finds out what to wait for."""
        self._looked(self.client._turn(self._buffer))

    def _looked(self, output: bytes) -> None:
        """The same behind a turn, whose output this is."""
        turn = self._buffer._turn
        while output:
            if not self.transport.is_closing():
                self.transport.write(output)
            output = self.client._turn(self._buffer) if len(output) == len(self._buffer._output) else b""
        self._want = turn.want
        self._clock.set(turn.timeout, turn.epoch)

    def step(self) -> bool:
        """Sends what there is, and goes on as far as that goes without the server. Did anything happen?"""
        self._look()
        if not self._want & _FEED:
            return False
        while self._want & _FEED:
            self.client.advance()
            self._look()
        return True

    async def progress(self) -> None:
        """Goes on, or waits for the next thing to happen. Raises ConnectionLost at the end."""
        if not self.step():
            await self._wait()

    async def _wait(self) -> None:
        """Behind a step."""
        if self.lost.done() or self._want & _CLOSE:
            raise self.failure()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def until(self, done: Callable[[], Any]) -> None:
        """Goes on until that is so. Raises ConnectionLost if the session ends before."""
        while not done():
            await self.progress()

    async def say(self, command: Callable[[], None]) -> None:
        """Calls a command, once there is room for it."""
        while True:
            try:
                return command()
            except SpaceError:
                await self.progress()

    async def ask(self, verb: Verb, command: Callable[[], None]) -> Reply:
        """A command, and the reply to it."""
        self.replies.pop(verb, None)
        await self.say(command)
        await self.until(lambda: verb in self.replies)
        return self.replies[verb]

    async def content(self, octets: bytes) -> None:
        """Gives the content, if the server wants it, and waits for the end of the transaction."""
        client, view, at, ended = self.client, memoryview(octets), 0, False
        turns = 0
        self.step()
        while self.end is None:
            if ended or self._blocked or not self._want & _CONTENT:
                await self._wait()
            elif at < len(octets):
                taken, pieces = client.body_gather(view[at : at + _PIECE])
                at += taken
                if at == len(octets):  # the end goes out with the last piece, if there is room for it
                    try:
                        client.body_end()
                        ended = self.in_doubt = True
                    except SpaceError:
                        pass
                    pieces.append(memoryview(client.take_output()))
                if pieces and not self.transport.is_closing():
                    self.transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
                turns += 1
                if turns % _TURNS == 0:
                    await asyncio.sleep(0)
                elif not taken:
                    await self.progress()
            else:
                try:
                    client.body_end()
                    ended = self.in_doubt = True
                except SpaceError:
                    await self.progress()
            self.step()

    def failure(self) -> ConnectionLost:
        """Why the session is of no use any more."""
        violation = self.client.violation
        last = self.last if self.last is not None and self.last.code == 421 else None
        error = ConnectionLost("the connection is lost", last, self.in_doubt)
        if violation is not None and self.error is None:
            self.error = ProtocolViolation(violation)
        error.__cause__ = self.error
        return error

    async def tls(self, context: ssl.SSLContext, server_hostname: str, timeout: float) -> None:
        """The handshake behind STARTTLS. Raises OSError, of which ssl.SSLError is one."""
        assert self.want & _TLS
        self._early = bytearray()  # see Connection._tls
        try:
            transport = await self._loop.start_tls(
                self.transport, self, context, server_hostname=server_hostname, ssl_handshake_timeout=timeout
            )
            if transport is None or self.lost.done():
                raise ConnectionResetError("the connection is lost")
        except BaseException as error:
            self.transport.abort()
            self.connection_lost(error if isinstance(error, Exception) else None)
            raise
        finally:
            early, self._early = self._early, None
        self.transport = transport
        self.client.tls_done()
        if early:
            self._call(lambda: self.client.feed(bytes(early)))

    def begin(self) -> None:
        """Of a transaction that is to come nothing is known yet."""
        self.replies.clear()
        self.recipients.clear()
        self.results.clear()
        self.end = None
        self.in_doubt = False

    def abort(self) -> None:
        self._aborted = True  # `lost` comes a turn of the loop later
        self.transport.abort()

    async def close(self) -> None:
        """Closes, and waits until that is done."""
        if not self.lost.done():
            self.transport.close()
            try:
                await asyncio.wait_for(asyncio.shield(self.lost), 5)
            except asyncio.TimeoutError:
                self.abort()
                await self.lost
            except BaseException:
                self.abort()
                raise


class _Handler:
    """Notes what is said."""

    __slots__ = ("wire",)

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def on_line(self, event: ClientLineEvent) -> None:
        self.wire._lines.append(decode(event.text))

    def take_reply(self, event: Any) -> None:
        """on_reply, with the library's event: most of what it holds is of no use here."""
        wire, reply = self.wire, getattr(event, "as").reply
        lines, wire._lines = wire._lines, []
        verb = reply.verb
        said = wire.last = Reply(reply.code, enhanced_of(reply.enhanced), (*lines, text_of(reply.text)))
        if verb == Verb.RCPT:
            wire.recipients[reply.ordinal] = said
        elif verb == Verb.RESULT:
            wire.results[reply.ordinal] = said
        elif not reply.fallback:
            wire.replies[VERBS[verb]] = said

    def on_hello(self, event: ClientHelloEvent) -> None:
        self.wire.hellos += 1

    def on_challenge(self, event: ClientChallengeEvent) -> None:
        self.wire.challenges.append(event.octets)

    def on_end(self, event: ClientEndEvent) -> None:
        self.wire.end = event
        if event.reason not in (End.LOST, End.TIMED_OUT, End.FAILED):
            self.wire.in_doubt = False

    def on_violation(self, event: ClientViolationEvent) -> None:
        self.wire.error = event.error()
