"""What a server for tests does in one connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .._questions import Question
from ..aio import Envelope, ServerSession
from ..enums import End, Verb
from ..events import (
    AuthEvent,
    BodyEvent,
    CommandEvent,
    ConnectEvent,
    DataEvent,
    EndEvent,
    HelloEvent,
    MailEvent,
    MessageEvent,
    RcptEvent,
    ResultEvent,
    StartTlsEvent,
    ViolationEvent,
)
from ._dialogue import Entry
from ._rules import look_up

if TYPE_CHECKING:
    from ._server import Server

_SENT = "ehlo.testing"


class Session(ServerSession):
    """Tells what is sent."""

    __slots__ = ()

    def take_output(self) -> bytes:
        return self._told(super().take_output())

    def _turn(self) -> tuple[bytes, int, int]:
        output, want, seconds = super()._turn()
        return self._told(output), want, seconds

    def _told(self, output: bytes) -> bytes:
        if output and _SENT in self.state:
            self.state[_SENT](output)
        return output


class Handler:
    """Answers as it is told, notes what is said, and keeps what is accepted."""

    def __init__(self, server: Server, number: int) -> None:
        self._server = server
        self._number = number
        self._mail: MailEvent | None = None
        self._rcpts: list[RcptEvent] = []
        self._results: list[ResultEvent] = []
        self._content = bytearray()
        self._shown: Entry | None = None  # the line that tells how much content there is
        self._begun = b""  # of a line that is sent
        self._gone = False  # hung up
        self._secret = False  # AUTH was tried: what is no command may be a password

    # ---- what is told ----

    def on_command(self, event: CommandEvent) -> None:
        line = event.line  # of AUTH only the mechanism
        if event.verb == Verb.AUTH:
            self._secret = True
        elif event.verb == Verb.UNKNOWN and self._secret:
            line = b"(not shown)"
        self._shown = None
        self._note("C:", line)
        self._hang_up(event.verb.name, event)

    def on_violation(self, event: ViolationEvent) -> None:
        secret = self._secret and event.verb in (Verb.AUTH, Verb.UNKNOWN, Verb.NONE, Verb.LINE)
        octets = b"(not shown)" if secret else event.octets
        self._note("--", event.kind.name.encode() + b": " + octets if octets else event.kind.name)

    def _sent(self, octets: bytes) -> None:
        *lines, self._begun = (self._begun + octets).split(b"\r\n")
        for line in lines:
            self._note("S:", line)

    def on_body(self, event: BodyEvent) -> None:
        event.add_to(self._content)
        if self._shown is None:
            self._shown = self._note("C:", "")
        self._shown.text = f"({event.octets} octets of content)"
        self._hang_up("BODY", event)

    def on_end(self, event: EndEvent) -> None:
        if event.reason in (End.ACCEPTED, End.MIXED):
            assert self._mail is not None
            rcpts = [rcpt for rcpt in self._rcpts if rcpt._code // 100 == 2]
            if self._results:
                taken = {result.ordinal for result in self._results if result._code // 100 == 2}
                rcpts = [rcpt for ordinal, rcpt in enumerate(rcpts) if ordinal in taken]
            self._server._took(Envelope(event.session, self._mail, rcpts, bytes(self._content)))
        else:
            self._note("--", f"the transaction ended: {event.reason.name}")
        self._mail = self._shown = None
        self._rcpts = []
        self._results = []
        self._content = bytearray()

    def on_error(self, error: Exception, event: Any) -> None:
        self._note("--", f"raised {error!r}")
        self._server.errors.append(error)

    # ---- what is asked ----

    async def on_connect(self, event: ConnectEvent) -> None:
        event.session.state[_SENT] = self._sent
        self._note("--", f"connected from {event.session.peer}")
        await self._answer("CONNECT", event)

    async def on_hello(self, event: HelloEvent) -> None:
        await self._answer(event.verb.name, event)

    async def on_starttls(self, event: StartTlsEvent) -> None:
        await self._answer("STARTTLS", event)

    async def on_auth(self, event: AuthEvent) -> None:
        credentials = event.credentials
        name, password = credentials.authcid, self._server.users.get(credentials.authcid)
        good = password is not None and credentials.secret == password and credentials.authzid in ("", name)
        await self._answer("AUTH", event, refusal=None if good else (535, "5.7.8", "Wrong name or password"))

    async def on_mail(self, event: MailEvent) -> None:
        self._mail = event
        await self._answer("MAIL", event, event.path.mailbox)

    async def on_rcpt(self, event: RcptEvent) -> None:
        self._rcpts.append(event)
        await self._answer("RCPT", event, event.path.mailbox)

    async def on_data(self, event: DataEvent) -> None:
        await self._answer("DATA", event)

    async def on_message(self, event: MessageEvent) -> None:
        await self._answer("MESSAGE", event)

    async def on_result(self, event: ResultEvent) -> None:
        self._results.append(event)
        accepted = [rcpt for rcpt in self._rcpts if rcpt._code // 100 == 2]
        await self._answer("MESSAGE", event, accepted[event.ordinal].path.mailbox)

    async def _answer(
        self, name: str, event: Question, address: str = "", refusal: tuple[int, str | None, str] | None = None
    ) -> None:
        if name in ("CONNECT", "MESSAGE") and self._hang_up(name, event):
            await asyncio.get_running_loop().create_future()  # until that is known
        seconds = look_up(self._server.delay, name, address, event)
        if seconds:
            await asyncio.sleep(seconds)
        refusal = look_up(self._server.refuse, name, address, event) or refusal
        if refusal is None:
            event.accept()
        else:
            event.reject(*refusal)

    # ---- between ----

    def _note(self, who: str, text: bytes | str) -> Entry:
        return self._server._dialogue.note(self._number, who, text)

    def _hang_up(self, name: str, event: Any) -> bool:
        """What is still in the buffer of the session leads to nothing: the loop drops the connection first."""
        if name not in self._server._hang_up:
            return False
        if not self._gone:
            self._gone = True
            self._note("--", f"hung up, at {name}")
            event.session.transport.abort()
        return True
