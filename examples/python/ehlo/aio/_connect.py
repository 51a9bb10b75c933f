"""Sending on asyncio: how a connection is made."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Literal

from ..config import ClientConfig
from ..enums import Extension, Mechanism, Protocol, Verb
from ..errors import AuthenticationError, ConfigError, ConnectError, ConnectionLost, TLSError
from ..values import MailParameters, RcptParameters
from ._client import Connection, Result
from ._message import Content
from ._opening import Opening
from ._wire import Wire

StartTls = Literal["try", "require", "off"]


@functools.lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def connect(
    host: str = "localhost",
    port: int | None = None,
    *,
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    tls: bool = False,
    starttls: StartTls = "try",
    context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    user: str = "",
    password: str | None = None,
    token: str | None = None,
    mechanisms: Iterable[Mechanism] | None = None,
    config: ClientConfig | str | None = None,
    lmtp: bool = False,
    timeout: float = 60,
) -> Opening[Connection]:
    """Connects to a server: `async with connect(...) as connection`, or `connection = await connect(...)`.

    `tls`: from the beginning (port 465); `starttls`: "try" where it is offered, "require", or "off". `context` is by
    default one that checks certificate and name (`server_hostname`, by default `host`); a handshake that fails is an
    error, also with "try". Then AUTH, if there is `user`, with `password` or `token`, or a `token` or `mechanisms`: see
    `Connection.login`. The port is by default 465 with `tls`, 587 with `user`, 24 with `lmtp`, or 25. `path`: of a Unix
    socket; `sock`: one that is connected. `config`: a ClientConfig, or just the name of this host. `timeout`: the seconds
    for all this; the times of the protocol are in the config.

    Raises ConnectError, TLSError, AuthenticationError, ConfigError."""
    if starttls not in ("try", "require", "off"):
        raise ValueError(f"starttls is {starttls!r}")
    number = port if port is not None else 465 if tls else 587 if user else 24 if lmtp else 25

    async def open() -> Connection:
        wire: Wire | None = None
        connection: Connection | None = None
        try:
            async with asyncio.timeout(timeout):
                wire = await _wire(host, number, path, sock, tls, context, server_hostname, _completed(config, lmtp))
                connection = Connection(wire, host, number)
                await _greet(wire, tls, starttls, context, server_hostname or host, timeout)
                if user or token is not None or mechanisms is not None:
                    await connection.login(user, password, token=token, mechanisms=mechanisms)
                return connection
        except TimeoutError as error:
            if wire is not None:
                wire.abort()
            raise ConnectError(f"{path or host}: no session within {timeout} seconds") from error
        except ConnectionLost as error:
            raise ConnectError("the connection is lost", error.reply) from error.__cause__
        except (ConnectError, TLSError, AuthenticationError):
            if connection is not None:
                await connection.quit()
            raise
        except BaseException:
            if wire is not None:
                wire.abort()
            raise

    return Opening(open)


async def _wire(
    host: str,
    port: int,
    path: str | os.PathLike[str] | None,
    sock: socket.socket | None,
    tls: bool,
    context: ssl.SSLContext | None,
    server_hostname: str | None,
    config: ClientConfig,
) -> Wire:
    loop = asyncio.get_running_loop()
    secured = (context or _default_context()) if tls else None
    name = (server_hostname or host) if tls else None
    make = functools.partial(Wire, config, loop)
    try:
        if path is not None:
            _, wire = await loop.create_unix_connection(make, os.fspath(path), ssl=secured, server_hostname=name)
        elif sock is not None:
            _, wire = await loop.create_connection(make, sock=sock, ssl=secured, server_hostname=name)
        else:
            _, wire = await loop.create_connection(make, host, port, ssl=secured, server_hostname=name)
    except ssl.SSLError as error:
        raise TLSError(f"no TLS with {path or host}: {error}") from error
    except OSError as error:
        if tls and isinstance(error, ConnectionResetError):
            raise TLSError(f"no TLS with {path or host}: {error}") from error
        raise ConnectError(f"cannot connect to {path or f'{host}:{port}'}: {error}") from error
    return wire


async def _greet(
    wire: Wire, tls: bool, starttls: StartTls, context: ssl.SSLContext | None, name: str, timeout: float
) -> None:
    if tls:
        wire.client.tls_done()
    await _hello(wire)
    if tls or starttls == "off":
        return
    if not wire.client.offers(Extension.STARTTLS):
        if starttls == "require":
            raise TLSError("the server does not offer STARTTLS")
        return
    reply = await wire.ask(Verb.STARTTLS, wire.client.starttls)
    if reply.code // 100 != 2:
        if starttls == "require":
            raise TLSError("STARTTLS is refused", reply)
        return
    if wire.over:
        raise TLSError("the server said more behind STARTTLS") from wire.failure().__cause__
    try:
        await wire.tls(context or _default_context(), name, timeout)
    except OSError as error:
        raise TLSError(f"no TLS with {name}: {error}") from error
    await _hello(wire)


async def _hello(wire: Wire) -> None:
    before = wire.hellos
    try:
        await wire.say(wire.client.hello)
        await wire.until(lambda: wire.hellos > before or _refused(wire))
    except ConnectionLost as error:
        raise ConnectError("no session", error.reply or wire.last) from error.__cause__
    if wire.hellos == before:
        raise ConnectError("the server wants no session", wire.last)


def _refused(wire: Wire) -> bool:
    replies = (wire.replies.get(verb) for verb in (Verb.CONNECT, Verb.EHLO, Verb.HELO, Verb.LHLO))
    return any(reply is not None and reply.code // 100 != 2 for reply in replies)


def _completed(config: ClientConfig | str | None, lmtp: bool) -> ClientConfig:
    if config is None:
        try:
            config = ClientConfig(hostname=socket.gethostname())
        except ConfigError:
            config = ClientConfig(hostname="localhost")
    elif isinstance(config, str):
        config = ClientConfig(hostname=config)
    return dataclasses.replace(config, protocol=Protocol.LMTP) if lmtp else config


async def send(
    message: Content,
    *,
    sender: str | None = None,
    recipients: Iterable[str] | str | None = None,
    mail: MailParameters | None = None,
    rcpt: RcptParameters | Mapping[str, RcptParameters] | None = None,
    host: str = "localhost",
    port: int | None = None,
    path: str | os.PathLike[str] | None = None,
    tls: bool = False,
    starttls: StartTls = "try",
    context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    user: str = "",
    password: str | None = None,
    token: str | None = None,
    mechanisms: Iterable[Mechanism] | None = None,
    config: ClientConfig | str | None = None,
    lmtp: bool = False,
    timeout: float = 60,
) -> Result:
    """Sends one message over a connection of its own: see `connect` and `Connection.send` for all of these, and what is
    raised."""
    opening = connect(
        host,
        port,
        path=path,
        tls=tls,
        starttls=starttls,
        context=context,
        server_hostname=server_hostname,
        user=user,
        password=password,
        token=token,
        mechanisms=mechanisms,
        config=config,
        lmtp=lmtp,
        timeout=timeout,
    )
    async with opening as connection:
        return await connection.send(message, sender=sender, recipients=recipients, mail=mail, rcpt=rcpt)
