"""A server for tests, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal

from ..aio import Envelope, serve
from ..config import ServerConfig
from ..enums import Extension, Mechanism, Preset
from ..errors import StateError
from . import _certificate
from ._dialogue import Dialogue
from ._handler import Handler, Session
from ._rules import Delay, Refuse, check_hang_up, check_keys, check_refusals

# The seconds that a peer has to take the last reply when the server stops. It is on the same machine.
_LINGER = 0.2


class Server:
    """A real server, on a free port of this machine:

        with ehlo.testing.Server(refuse={"bob@example.org": (550, "5.1.1", "No such user")}) as server:
            application.send(server.host, server.port)
            (message,) = server.wait(1)
            assert message.recipients == ["alice@example.org"]
            assert message.message()["Subject"] == "Hello"

    It is there when `with` (or `start`) returns, and at the end of `with` (or behind `stop`) no connection, socket or thread
    is left. If the block raises, the dialogue is printed on standard error. What a function that was given to it raised is
    answered 451, and raised again at the end.

    `refuse`: what to answer in place of yes: a dict, or a function that gets each event that asks (RcptEvent ...). The keys
    are addresses of recipients; or CONNECT, EHLO (HELO, LHLO), STARTTLS, AUTH, MAIL, RCPT, DATA and MESSAGE (the content is
    complete; DATA is not asked where content comes by BDAT), with an address behind MAIL, RCPT and, in LMTP, MESSAGE, if
    only that is meant: "MAIL alice@example.org". Upper and lower case are the same in addresses. The values are (code,
    enhanced code, text), or functions as above; None stands for yes. Functions are called in the server's thread.

    `delay`: the seconds before each answer, or a dict or function of the same kind.

    `hang_up`: where to drop the connection without an answer: the name of a command or several; or CONNECT, BODY (at the
    first piece of content), MESSAGE (behind all of it).

    `refuse`, `delay`, `hang_up` and `users` are attributes, too, and may be set anew while the server runs.

    `tls`: "starttls" or "implicit". `certificate`: (file, file of the key), or an SSLContext; without it the program
    openssl makes one, for which see `client_context` and `cafile`.

    `users`: names and passwords; AUTH is then offered by PLAIN and LOGIN, with `tls` under TLS only. `require_auth`: nothing
    goes without it.

    `max_message_size`: octets. `config`: a ServerConfig that is the base of all that; without it any name is taken in EHLO,
    and there is no limit of errors.

    Raises OSError, ConfigError, ValueError for a key that there is not or a refusal that cannot be said, and CertificateError."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        refuse: Refuse | None = None,
        delay: Delay | None = None,
        hang_up: str | Iterable[str] = (),
        tls: Literal["starttls", "implicit"] | None = None,
        certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | ssl.SSLContext | None = None,
        users: Mapping[str, str] | None = None,
        require_auth: bool = False,
        lmtp: bool = False,
        max_message_size: int | None = None,
        config: ServerConfig | None = None,
    ) -> None:
        if tls not in (None, "starttls", "implicit"):
            raise ValueError(f'tls is "starttls" or "implicit", not {tls!r}')
        self.refuse = refuse
        self.delay = delay
        self.hang_up = hang_up
        #: Names and passwords.
        self.users: Mapping[str, str] = dict(users or {})
        #: Where it listens. The port is known from `start` on.
        self.host = host
        self.port = port
        #: What functions that were given have raised.
        self.errors: list[Exception] = []
        self._tls = tls
        self._certificate = certificate
        self._config = _complete(config, tls, users is not None, require_auth, lmtp, max_message_size)
        self._messages: list[Envelope] = []
        self._news = threading.Condition()
        self._dialogue: Dialogue = Dialogue()
        self._connections = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._cafile: str | None = None

    # ---- rules ----

    @property
    def refuse(self) -> Refuse | None:
        return self._refuse

    @refuse.setter
    def refuse(self, rules: Refuse | None) -> None:
        check_keys(rules)
        check_refusals(rules)
        self._refuse = rules

    @property
    def delay(self) -> Delay | None:
        return self._delay

    @delay.setter
    def delay(self, rules: Delay | None) -> None:
        check_keys(rules)
        self._delay = rules

    @property
    def hang_up(self) -> str | Iterable[str]:
        return self._hang_up

    @hang_up.setter
    def hang_up(self, names: str | Iterable[str]) -> None:
        self._hang_up: frozenset[str] = check_hang_up(names)

    # ---- life ----

    def start(self) -> None:
        """Begins to listen."""
        if self._thread is not None:
            raise StateError("the server runs")
        self._ready.clear()
        self._failure = None
        implicit, starttls = self._contexts()
        self._thread = threading.Thread(target=self._run, args=(implicit, starttls), name="ehlo.testing", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._end()
            raise self._failure

    def stop(self) -> None:
        """Ends it, and all connections, at once. Raises the first of `errors`. May be called twice."""
        self._end()
        if self.errors:
            raise self.errors[0]

    def _end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None and thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._stop.set)
            except RuntimeError:  # it has ended by itself
                pass
        thread.join()
        self._loop = self._stop = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
            return
        self._end()
        print(f"---- SMTP at {self.host}:{self.port}\n{self.dialogue}----", file=sys.stderr)

    # ---- what has come ----

    @property
    def messages(self) -> list[Envelope]:
        """The messages that were accepted so far. The one that is answered 250 is among them before the client sees
        that."""
        with self._news:
            return list(self._messages)

    def wait(self, count: int = 1, timeout: float = 5) -> list[Envelope]:
        """Waits until there are so many messages, or more, and returns all. Raises TimeoutError, in which the dialogue
        stands."""
        end = time.monotonic() + timeout
        with self._news:
            while len(self._messages) < count:
                left = end - time.monotonic()
                if left <= 0:
                    said = str(self._dialogue) or "(nobody has connected)\n"
                    raise TimeoutError(f"{len(self._messages)} of {count} messages after {timeout} seconds\n{said}")
                self._news.wait(left)
            return list(self._messages)

    def clear(self) -> None:
        """Forgets the messages."""
        with self._news:
            self._messages.clear()

    @property
    def dialogue(self) -> str:
        """What was said in all connections, a line each, the number of the connection before it; "" if nothing was. The
        content is left out, and what AUTH is about."""
        return str(self._dialogue)

    # ---- for clients ----

    @property
    def cafile(self) -> str:
        """The file with the certificate that a client is to trust, while the server runs. StateError without `tls`, or
        if an SSLContext was given."""
        if self._cafile is None or self._thread is None:
            raise StateError("there is no certificate")
        return self._cafile

    def client_context(self) -> ssl.SSLContext:
        """A context for clients, which trusts this server and checks its name."""
        return ssl.create_default_context(cafile=self.cafile)

    # ---- within ----

    def _contexts(self) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
        if self._tls is None:
            return None, None
        context = self._certificate
        if not isinstance(context, ssl.SSLContext):
            files = context
            if files is None:
                self._directory, files = _written(*_certificate.make())
            self._cafile = os.fspath(files[0])
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*files)
        return (context, None) if self._tls == "implicit" else (None, context)

    def _run(self, implicit: ssl.SSLContext | None, starttls: ssl.SSLContext | None) -> None:
        try:
            asyncio.run(self._serve(implicit, starttls))
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self, implicit: ssl.SSLContext | None, starttls: ssl.SSLContext | None) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await serve(
            self._handler,
            self.host,
            self.port,
            ssl=implicit,
            starttls=starttls,
            config=self._config,
            max_connections=None,
            linger=_LINGER,
        )
        server.session_class = Session
        self.port = server.port
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            await server.stop(0)

    def _handler(self) -> Handler:
        self._connections += 1
        return Handler(self, self._connections)

    def _took(self, envelope: Envelope) -> None:
        with self._news:
            self._messages.append(envelope)
            self._news.notify_all()


def _written(certificate: bytes, key: bytes) -> tuple[tempfile.TemporaryDirectory[str], tuple[str, str]]:
    directory = tempfile.TemporaryDirectory(prefix="ehlo-")
    files = os.path.join(directory.name, "certificate.pem"), os.path.join(directory.name, "key.pem")
    for name, octets in zip(files, (certificate, key)):
        with open(name, "wb") as file:
            file.write(octets)
    return directory, files


def _complete(
    config: ServerConfig | None, tls: str | None, auth: bool, require_auth: bool, lmtp: bool, max_message_size: int | None
) -> ServerConfig:
    if config is None:
        config = ServerConfig(
            hostname="localhost", offer=(Extension.DSN,), allow_any_hello=True, allow_underscore=True, max_errors=0
        )
    changes: dict[str, Any] = {}
    if lmtp:
        changes["preset"] = Preset.LMTP
    if max_message_size is not None:
        changes["max_message_size"] = max_message_size
    if auth:
        changes["offer"] = (*config.offer, Extension.AUTH)
        if config.mechanisms is None:
            changes["mechanisms"] = (Mechanism.PLAIN, Mechanism.LOGIN)
        if tls is None:
            changes["allow_plaintext_auth"] = True
    if require_auth:
        changes["require_auth"] = True
    return replace(config, **changes)
