"""Sending on asyncio: what is done over a connection, and what comes of a message."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple

from .._client import Client
from .._grammar import Reply
from ..enums import BodyType, End, Extension, Mechanism, Verb
from ..errors import (
    BareNewlineError,
    ConnectionLost,
    HostError,
    MessageRefused,
    RecipientsRefused,
    RefusedError,
    SenderRefused,
    UnsupportedError,
)
from ..values import MailParameters, RcptParameters
from ._message import Content, Prepared, prepare
from ._sasl import login
from ._wire import Wire

_QUIT_SECONDS = 5.0


class Result(NamedTuple):
    """What came of a message that was accepted for somebody."""

    #: The reply to the message; in LMTP the last of them.
    reply: Reply
    #: For each recipient the reply that counts: to RCPT; in LMTP, if that was accepted, to the message.
    recipients: dict[str, Reply]

    @property
    def accepted(self) -> list[str]:
        return [recipient for recipient, reply in self.recipients.items() if reply.code // 100 == 2]

    @property
    def refused(self) -> dict[str, Reply]:
        return {recipient: reply for recipient, reply in self.recipients.items() if reply.code // 100 != 2}


class Connection:
    """A connection to a server, for one message after the other: `connect` makes it. Its methods may be called by several
    tasks: they take turns. A task that is cancelled while its message is under way closes the connection; one that
    waits for its turn changes nothing."""

    def __init__(self, wire: Wire, host: str, port: int) -> None:
        self._wire = wire
        self._host = host
        self._port = port
        self._turn = asyncio.Lock()
        self._messages = 0

    @property
    def closed(self) -> bool:
        """Is it of no use any more?"""
        return self._wire.over

    @property
    def tls(self) -> bool:
        return self._wire.client.tls

    @property
    def session(self) -> Client:
        """The session, for what it tells: `offers(extension)`, `size_limit`, `mechanisms` ..."""
        return self._wire.client

    @property
    def transport(self) -> asyncio.Transport:
        return self._wire.transport

    async def login(
        self,
        user: str,
        password: str | None = None,
        *,
        token: str | None = None,
        authzid: str = "",
        mechanisms: Iterable[Mechanism] | None = None,
    ) -> None:
        """AUTH, by the strongest mechanism that both know: with a password SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN,
        LOGIN; with a token OAUTHBEARER, XOAUTH2; with neither EXTERNAL. `mechanisms` are others, in their order. Raises
        AuthenticationError, ConnectionLost."""
        async with self._use():
            await login(self._wire, user, password, token, authzid, mechanisms, self._host, self._port)

    async def send(
        self,
        message: Content,
        *,
        sender: str | None = None,
        recipients: Iterable[str] | str | None = None,
        mail: MailParameters | None = None,
        rcpt: RcptParameters | Mapping[str, RcptParameters] | None = None,
    ) -> Result:
        """Sends a message: an EmailMessage (of whose header sender and recipients are taken where they are not given,
        and Bcc is taken out), or octets, with CRLF or LF. SMTPUTF8 and 8BITMIME are asked for where the message needs
        them; where the server does not offer them it is encoded anew, if that is possible. `mail`, `rcpt`: parameters,
        as those of DSN; `rcpt` for all recipients or for each of them.

        Returns when the server has accepted the message for at least one recipient. Raises SenderRefused,
        RecipientsRefused if there is none, MessageRefused, UnsupportedError, ConnectionLost; ValueError for a message
        without recipients, or with a CR or LF that ends no line. The connection can be used after all but
        ConnectionLost."""
        async with self._use():
            client = self._wire.client
            prepared = prepare(
                message, sender, recipients, client.offers(Extension.SMTPUTF8), client.offers(Extension.EIGHTBITMIME)
            )
            binary = mail is not None and mail.body == BodyType.BINARYMIME
            if not binary and prepared.octets.count(b"\r") != prepared.octets.count(b"\r\n"):
                raise BareNewlineError()
            return await self._transaction(prepared, _parameters(prepared, mail), rcpt)

    async def _transaction(
        self,
        message: Prepared,
        mail: MailParameters,
        rcpt: RcptParameters | Mapping[str, RcptParameters] | None,
    ) -> Result:
        wire, client = self._wire, self._wire.client
        wire.begin()
        self._messages += 1
        tag, opened = self._messages, False
        try:
            await wire.say(lambda: client.mail(message.sender, mail, tag))
            opened = True
            for recipient in message.recipients:
                parameters = rcpt.get(recipient) if isinstance(rcpt, Mapping) else rcpt
                await wire.say(functools.partial(client.rcpt, recipient, parameters, tag))
            await wire.say(lambda: client.data(tag))
        except RefusedError:
            if Verb.MAIL in wire.replies and wire.replies[Verb.MAIL].code // 100 == 2:
                await self._reset()
        except Exception as error:
            if opened:  # whatever it was: the next message finds no half of this one
                await self._reset()
            if isinstance(error, HostError):
                raise UnsupportedError(f"cannot be sent: {error}") from error
            raise
        try:
            await wire.content(message.octets)
        except HostError:
            wire.client.body_abort()
            wire.abort()
            raise
        result = self._result(message)
        if wire.end is not None and wire.end.needs_reset:
            await self._reset()
        if isinstance(result, Exception):
            raise result
        return result

    def _result(self, message: Prepared) -> Result | Exception:
        """How it went: what to return, or to raise."""
        wire = self._wire
        assert wire.end is not None
        reason, replies = wire.end.reason, wire.replies
        recipients = {
            recipient: wire.recipients[ordinal]
            for ordinal, recipient in enumerate(message.recipients)
            if ordinal in wire.recipients
        }
        verdicts = dict(recipients)
        for ordinal, reply in wire.results.items():
            verdicts[message.recipients[ordinal]] = reply
        verdict = replies.get(Verb.MESSAGE) or (wire.last if wire.results else None)
        if reason in (End.ACCEPTED, End.MIXED) and verdict is not None:
            return Result(verdict, verdicts)
        if reason in (End.LOST, End.TIMED_OUT, End.FAILED) or wire.end.code == 421:
            return wire.failure()
        if (refusal := replies.get(Verb.MAIL)) is not None and refusal.code // 100 != 2:
            return SenderRefused(f"the sender {message.sender!r} is refused", refusal)
        if recipients and not any(reply.code // 100 == 2 for reply in recipients.values()):
            return RecipientsRefused("no recipient is accepted", recipients)
        return MessageRefused("the message is refused", verdict or replies.get(Verb.DATA) or wire.last, verdicts)

    async def _reset(self) -> None:
        if not self.closed:
            await self._wire.ask(Verb.RSET, self._wire.client.rset)

    async def noop(self) -> Reply:
        """Is the server still there? Raises ConnectionLost."""
        async with self._use():
            return await self._wire.ask(Verb.NOOP, self._wire.client.noop)

    async def quit(self) -> None:
        """QUIT, and closes. A server that does not answer is not waited for, and nothing is raised for it."""
        try:
            if not self.closed:
                async with asyncio.timeout(_QUIT_SECONDS), self._use():
                    await self._wire.ask(Verb.QUIT, self._wire.client.quit)
        except (ConnectionLost, HostError, TimeoutError):
            pass
        finally:
            await self._wire.close()

    def close(self) -> None:
        """Closes at once."""
        self._wire.abort()

    def _use(self) -> _Use:
        return _Use(self)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self.close()
            await self._wire.close()
        else:
            await self.quit()


class _Use:
    """A turn. Who leaves it in the midst of a dialogue leaves no connection behind that others could take up there."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def __aenter__(self) -> None:
        await self.connection._turn.acquire()
        wire = self.connection._wire
        if wire.over:
            self.connection._turn.release()
            raise wire.failure()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        wire = self.connection._wire
        if kind is not None and wire.over or kind is not None and not issubclass(kind, Exception):
            wire.abort()
        self.connection._turn.release()


def _parameters(message: Prepared, given: MailParameters | None) -> MailParameters:
    parameters = dataclasses.replace(given) if given is not None else MailParameters()
    if parameters.size is None:
        parameters.size = len(message.octets)
    if message.smtputf8:
        parameters.smtputf8 = True
    if message.eight_bit and parameters.body == BodyType.NONE:
        parameters.body = BodyType.EIGHTBITMIME
    return parameters
