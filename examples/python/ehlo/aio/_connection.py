"""A connection of a server: between a transport and a session."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._binding import lib, stray
from .._server import Server as Session
from .._session import ReceiveBuffer
from ..config import ServerConfig
from ..enums import ServerEventType
from ..errors import HostError
from ..events import ConnectEvent
from ._clock import Clock
from ._handling import Calls

if TYPE_CHECKING:
    from ._serve import Server

log = logging.getLogger("ehlo")

_READ: int = lib.EHLO_WANT_READ
_WRITE: int = lib.EHLO_WANT_WRITE
_FEED: int = lib.EHLO_WANT_FEED
_DECISION: int = lib.EHLO_WANT_DECISION
_TLS: int = lib.EHLO_WANT_TLS
_TURN: int = lib.EHLO_WANT_TURN
_CLOSE: int = lib.EHLO_WANT_CLOSE

# As much as is gathered for one write.
_BATCH = 32768
_CONNECT = int(ServerEventType.CONNECT)


class _Shared(threading.local):
    """What arrives is dealt with before anything else is read: one buffer for all connections of a thread."""

    def __init__(self) -> None:
        self.buffer = ReceiveBuffer(131072)


_shared = _Shared()


class ServerSession(Session):
    """A Server with what is known of its connection."""

    __slots__ = ("peer", "transport", "state", "_telling")

    def __init__(self, config: ServerConfig, transport: asyncio.Transport, telling: set[asyncio.Task[Any]]) -> None:
        super().__init__(config, _NOBODY)
        self._telling = telling
        #: The address of the peer, as the transport tells it.
        self.peer: Any = transport.get_extra_info("peername")
        #: See `asyncio.Transport.get_extra_info`; not to be written to.
        self.transport = transport
        #: The program's own.
        self.state: dict[str, Any] = {}

    def _tell_error(self, on_error: Callable[..., Any], error: BaseException, event: Any) -> None:
        if not inspect.iscoroutinefunction(on_error):
            return super()._tell_error(on_error, error, event)
        task = asyncio.get_running_loop().create_task(on_error(error, event))
        self._telling.add(task)
        task.add_done_callback(functools.partial(_told, self._telling))


def _told(telling: set[asyncio.Task[Any]], task: asyncio.Task[Any]) -> None:
    telling.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("on_error raised", exc_info=error)


_NOBODY = object()


class Connection(asyncio.BufferedProtocol):
    """Feeds what arrives, writes what the session says, and keeps its clock."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._buffer = _shared.buffer
        self._session: ServerSession
        self._calls: Calls
        self._transport: asyncio.Transport
        self._busy = False  # within a call that advances: what is answered meanwhile is dealt with there
        self._woken = False
        self._blocked = False  # the peer does not read
        self._paused = False
        self._closing = False
        self._gone = False
        self._started = False
        self._clock: Clock
        self._linger: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early: bytearray | None = None

    # ---- from the transport ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        server = self._server
        room = server.joined(self)
        self._transport = transport
        self._session = session = server.session_class(server.config, transport, server.telling)
        try:
            plan = server._plan()
            self._calls = Calls(session, plan, self._loop, server.starttls is not None, self._pump, server.telling)
        except Exception as error:
            log.error("no handler", exc_info=error)
            transport.abort()
            self._gone = self._closing = True
            server.left(self)
            return
        if not room:
            session._methods[_CONNECT] = _refuse
            session._user.wanted |= 1 << _CONNECT
        session._core.waker = self._wake
        self._clock = Clock(self._loop, session, self._timed_out)
        if server.implicit is None:
            self._started = True
            self._do(session.start)
        elif room:
            self._read(False)
            self._handshake = self._loop.create_task(self._tls(server.implicit))
        else:
            transport.abort()  # what would be said needs the handshake, which is not for those that are too many

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        if self._early is not None:  # came by TLS, before `_tls` knew that it is there
            self._early += self._buffer.view[:nbytes]
            return
        if self._closing:
            return
        session = self._session
        if self._blocked or session._held or session._ended:
            self._do(lambda: session.received(self._buffer, nbytes))
            return
        self._busy = True
        try:
            output, code = session._receive(self._buffer, nbytes)
        except HostError as error:
            self._broken(error)
            return
        finally:
            self._busy = False
        try:
            if code or stray or session._raised is not None:
                session._after(code)
        except (HostError, asyncio.CancelledError) as error:
            self._broken(error)
        finally:
            if not self._closing:
                self._go_on(output)

    def eof_received(self) -> bool:
        if not self._started or self._closing:
            return False
        session = self._session
        if not session._held and session._core.get(lib.ehlo_server_want) & _DECISION:
            return False  # it went without waiting for the answer
        self._do(session.eof)
        return not self._closing and self._transport.get_extra_info("ssl_object") is None

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._pump()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._gone:
            return
        self._gone = self._closing = True
        self._server.left(self)
        if self._linger is not None:
            self._linger.cancel()
        self._clock.stop()
        session = self._session
        session._core.waker = None
        try:
            if self._started:
                session.lost()
        except (HostError, asyncio.CancelledError) as error:
            log.error("lost", exc_info=error)
        self._calls.stop()
        session._methods = []  # which point here
        session._direct = {}

    # ---- between ----

    def _do(self, call: Callable[[], None]) -> None:
        self._busy = True
        try:
            call()
        except (HostError, asyncio.CancelledError) as error:
            self._broken(error)
        finally:
            self._busy = False
        self._pump()

    def _broken(self, error: BaseException) -> None:
        """Logs it. CancelledError was raised by a plain method, and has been answered for; otherwise the session cannot
        go on."""
        log.error("in a session", exc_info=error)
        if isinstance(error, HostError):
            self.abort()

    def _wake(self) -> None:
        """A question that was deferred has been answered. Answers that come together go out together."""
        if not self._busy and not self._woken:
            self._woken = True
            self._loop.call_soon(self._awake)

    def _awake(self) -> None:
        self._woken = False
        self._pump()

    def _pump(self) -> None:
        """Writes what there is, goes on as far as it goes, and finds out what to wait for."""
        if self._closing or self._busy or self._blocked:
            if self._blocked and not self._closing:
                self._read(False)
                self._clock.check()
            return
        self._go_on(self._session._turn(self._buffer))

    def _go_on(self, output: bytes) -> None:
        """The same behind a turn, whose output this is."""
        turn = self._buffer._turn
        want: int = turn.want
        if self._calls.unsaid:
            self._calls.say_more()
            want |= _WRITE
        if want & (_FEED | _WRITE):
            output = self._advance(output)
            want = turn.want
        if output and not self._closing:
            self._transport.write(output)
        if want != _READ or self._server.stopping:
            if self._closing:
                return
            if want & _WRITE and self._blocked:
                self._read(False)
                return
            if want & (_CLOSE | _TURN):
                self._close()
                return
            if want & _TLS:
                if self._handshake is None:
                    self._read(False)
                    assert self._server.starttls is not None
                    self._handshake = self._loop.create_task(self._tls(self._server.starttls))
                return
            if self._server.stopping and not self._in_transaction(want):
                self.leave(True)
                return
        if self._paused is bool(want & _READ):
            self._read(bool(want & _READ))
        self._clock.set(turn.timeout, turn.epoch)

    def _advance(self, output: bytes) -> bytes:
        """All that can go on without reading, for one write; for several, if it is much. Behind a turn, and its last
        is another."""
        session, buffer = self._session, self._buffer
        parts, size = [output], len(output)
        self._busy = True
        try:
            while not self._closing:
                want: int = buffer._turn.want
                if not want & (_FEED | _WRITE):
                    break
                if size >= _BATCH:
                    self._transport.write(b"".join(parts))
                    parts, size = [], 0
                    if self._blocked:
                        break
                if want & _FEED:
                    session.advance()
                output = session._turn(buffer)
                if self._calls.unsaid:
                    self._calls.say_more()
                    output += session._turn(buffer)
                if output:
                    parts.append(output)
                    size += len(output)
                elif want & _WRITE:
                    break
        except (HostError, asyncio.CancelledError) as error:
            self._broken(error)
            parts.append(session._turn(buffer))
        finally:
            self._busy = False
        return b"".join(parts)

    def _read(self, on: bool) -> None:
        if on and self._paused:
            self._paused = False
            self._transport.resume_reading()
        elif not on and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _timed_out(self) -> None:
        if not self._closing:
            self._blocked = False  # the last reply is left to the transport
            self._do(self._session.timed_out)

    async def _tls(self, context: ssl.SSLContext) -> None:
        self._paused = False  # it is resumed by start_tls
        # From here on what comes through has been decrypted: start_tls takes the transport before it lets go of this.
        self._early = bytearray()
        try:
            transport = await self._loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=self._server.handshake_timeout
            )
        except BaseException as error:
            self._transport.abort()
            self.connection_lost(error)  # in a handshake nobody else says so
            if isinstance(error, OSError):  # ssl.SSLError is one
                log.info("no TLS with %s: %s", self._session.peer, error)
                return
            raise
        finally:
            early, self._early = self._early, None
            self._handshake = None
        if transport is None or self._closing:
            self._transport.abort()
            self.connection_lost(None)
            return
        self._transport = self._session.transport = transport
        self._session.tls_done(_verified(transport))
        if not self._started:
            self._started = True
            self._do(self._session.start)
            if self._closing:
                return
        self._do(lambda: self._session.feed(bytes(early)))

    # ---- leaving ----

    def _close(self) -> None:
        self._closing = True
        self._transport.close()
        self._clock.stop()
        self._linger = self._loop.call_later(self._server.linger, self._transport.abort)

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._handshake is not None:
            self._handshake.cancel()
        self._closing = True
        self._transport.abort()

    def _in_transaction(self, want: int) -> bool:
        return bool(want & _DECISION or self._session.recipients or self._session._held or self._handshake)

    def leave(self, now: bool = False) -> None:
        """The server stops: 421, unless a transaction is open; `now`: in any case."""
        if self._closing:
            return
        session = self._session
        if self._handshake is not None or not self._started:
            if now or not self._started:
                self.abort()
        elif now or not self._in_transaction(session._core.get(lib.ehlo_server_want)):
            if now:
                self._blocked = False
            self._do(lambda: session.shutdown(421, "4.3.2", "Shutting down"))


def _refuse(event: ConnectEvent) -> None:
    event.reply(421, "4.3.2", "Too many connections")


def _verified(transport: asyncio.BaseTransport) -> bool:
    """Did the peer show a certificate that the context trusts?"""
    tls = transport.get_extra_info("ssl_object")
    return bool(tls is not None and tls.context.verify_mode != ssl.CERT_NONE and tls.getpeercert())
