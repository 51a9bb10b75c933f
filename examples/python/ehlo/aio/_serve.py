"""Servers on asyncio: what listens."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import os
import socket
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ..config import ServerConfig
from ..enums import Extension
from ..errors import ConfigError
from ._connection import Connection, ServerSession
from ._handling import Plan, is_handler
from ._opening import Opening

# What ServerConfig leaves open. Verdicts in parallel; a batch of replies in one write; a message has to be kept.
_PENDING = 32
_OUTPUT = 4096
_MESSAGE = 1 << 25


class Server:
    """What `serve` returns: a server that listens. As a context manager it stops at the end."""

    def __init__(
        self,
        handler: object,
        config: ServerConfig,
        implicit: ssl.SSLContext | None,
        starttls: ssl.SSLContext | None,
        max_connections: int | None,
        handshake_timeout: float,
        linger: float,
    ) -> None:
        self.config = config
        self.implicit = implicit
        self.starttls = starttls
        self.max_connections = max_connections
        self.handshake_timeout = handshake_timeout
        self.linger = linger
        self.session_class = ServerSession
        self.connections: set[Connection] = set()
        # Async methods that are told something, and go on when the connection is gone.
        self.telling: set[asyncio.Task[Any]] = set()
        self.stopping = False
        self._plan: Callable[[], Plan]
        if is_handler(handler):
            plan = Plan(handler)
            self._plan = lambda: plan
        else:
            assert callable(handler)
            _check_factory(handler)
            make: Callable[[], object] = handler
            self._plan = lambda: Plan(make())
        self._listener: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Those that listen."""
        return tuple(self._listener.sockets) if self._listener is not None else ()

    @property
    def port(self) -> int:
        """The port, of the first socket."""
        port: int = self.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Accepts no more connections. Those that there are go on."""
        if self._listener is not None:
            self._listener.close()

    async def stop(self, grace: float = 30) -> None:
        """Accepts no more connections, lets transactions that are open finish for so many seconds, and says 421 to all
        others at once. Returns when no connection is left."""
        self.close()
        self.stopping = True
        try:
            for connection in list(self.connections):
                connection.leave()
            await self._wait(grace)
            for connection in list(self.connections):
                connection.leave(True)
            await self._wait(self.linger)
        finally:
            for connection in list(self.connections):
                connection.abort()
        await self._empty.wait()
        if self.telling:
            _, late = await asyncio.wait(self.telling, timeout=self.linger)
            for task in late:
                task.cancel()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._empty.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def serve_forever(self) -> None:
        """Until it is cancelled; then it stops, without any grace."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.stop(0)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop(30 if kind is None else 0)

    # ---- for connections ----

    def joined(self, connection: Connection) -> bool:
        """Is there room for it?"""
        full = self.max_connections is not None and len(self.connections) >= self.max_connections
        self.connections.add(connection)
        self._empty.clear()
        return not full

    def left(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()


def _check_factory(handler: Callable[..., object]) -> None:
    """What could make no handler is a mistake now, not with each connection."""
    try:
        signature = inspect.signature(handler)
    except ValueError:  # it does not tell
        return
    try:
        signature.bind()
    except TypeError as error:
        raise TypeError(f"{handler!r} is no handler, and as a factory of handlers gets no arguments: {error}") from None
    if inspect.iscoroutinefunction(handler):
        raise TypeError(f"{handler!r} is no handler, and a factory of handlers is not async")


def serve(
    handler: object,
    host: str | None = "127.0.0.1",
    port: int = 8025,
    *,
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    ssl: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    config: ServerConfig | str | None = None,
    max_connections: int | None = 1000,
    backlog: int = 1024,
    handshake_timeout: float = 60,
    linger: float = 10,
) -> Opening[Server]:
    """Starts a server: `server = await serve(...)`, or `async with serve(...) as server`.

    `handler`: an object with methods as in ServerHandler, or a class or function that makes one for each connection. It
    needs only those that it has something to say in. A method may be `async def`, and is a task then: the question is
    deferred, and what the method answers is given when it ends; nothing answered is the safe answer. The questions of
    one batch, up to the config's `max_pending`, run at the same time. What such a method raises is logged and 451; Reject
    refuses. If the peer leaves, or closes its side while an answer is due and nothing more is to be read, the task is
    cancelled. An async `on_body` stops the content until it returns. Methods that are asked nothing (`on_end` ...) run
    beside the session when they are async: it does not wait for them, and they go on when the peer has left; `stop` waits
    for them, up to `linger`. A method returns nothing.

    Or the handler has `deliver(envelope)`, plain or async, and it gets whole messages as Envelope: it returns None and so
    takes the message, or raises Reject. Unless there is `on_rcpt`, every recipient is taken.

    An answer that was deferred can be given anywhere in the thread of the loop.

    `host`, `port`: as for `loop.create_server`; or `path`, of a Unix socket; or `sock`, that listens or is to. `ssl`: TLS
    from the beginning; `starttls`: offered. `config`: a ServerConfig, or just the host name; what it leaves open becomes
    `max_pending` 32, `output_size` 4096, and `max_message_size` 32 MiB. Over `max_connections` a client gets 421, or is
    dropped where the handshake of `ssl` would come first.
    `handshake_timeout`, `linger`: the seconds for a TLS handshake, and for the last reply to be taken.

    Raises OSError, ConfigError; TypeError for what is no handler."""
    arguments = (handler, host, port, path, sock, ssl, starttls, config, max_connections, backlog)
    return Opening(functools.partial(_serve, *arguments, handshake_timeout, linger))


async def _serve(
    handler: object,
    host: str | None,
    port: int,
    path: str | os.PathLike[str] | None,
    sock: socket.socket | None,
    implicit: ssl.SSLContext | None,
    starttls: ssl.SSLContext | None,
    config: ServerConfig | str | None,
    max_connections: int | None,
    backlog: int,
    handshake_timeout: float,
    linger: float,
) -> Server:
    loop = asyncio.get_running_loop()
    server = Server(
        handler,
        _complete(config, starttls if implicit is None else None),
        implicit,
        starttls,
        max_connections,
        handshake_timeout,
        linger,
    )
    make = functools.partial(Connection, server, loop)
    options: dict[str, Any] = {"backlog": backlog}
    if path is not None:
        listener = await loop.create_unix_server(make, path, **options)
    elif sock is not None and sock.family == getattr(socket, "AF_UNIX", None):
        listener = await loop.create_unix_server(make, sock=sock, **options)
    elif sock is not None:
        listener = await loop.create_server(make, sock=sock, **options)
    else:
        listener = await loop.create_server(make, host, port, **options)
    server._listener = listener
    return server


def _complete(config: ServerConfig | str | None, starttls: ssl.SSLContext | None) -> ServerConfig:
    if config is None:
        try:
            config = ServerConfig(hostname=socket.gethostname())
        except ConfigError:
            config = ServerConfig(hostname="localhost")
    elif isinstance(config, str):
        config = ServerConfig(hostname=config)
    changes: dict[str, Any] = {}
    for name, value in (("max_pending", _PENDING), ("output_size", _OUTPUT), ("max_message_size", _MESSAGE)):
        if getattr(config, name) is None:
            changes[name] = value
    if starttls is not None:
        changes["offer"] = (*config.offer, Extension.STARTTLS)
    else:
        changes["offer"] = tuple(each for each in config.offer if each != Extension.STARTTLS)
        changes["withhold"] = (*config.withhold, Extension.STARTTLS)
    return dataclasses.replace(config, **changes)
