"""A message with its envelope, for handlers with `deliver`."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any, cast

from .._binding import lib, octets_of, text_of
from ..events import MailWords, RcptWords, Saved
from ..values import MailParameters, Path, RcptParameters


class _Taken:
    """What a command said, where nobody but `deliver` is told."""

    __slots__ = ("path", "raw", "_parameters")

    def __init__(self, words: Any) -> None:
        self.path = Path(octets_of(words.path.raw))
        self.raw = octets_of(words.raw)
        self._parameters = Saved(words.parameters, words.raw) if self.raw else None


class TakenMail(_Taken, MailWords):
    __slots__ = ()


class TakenRcpt(_Taken, RcptWords):
    """Was accepted."""

    __slots__ = ()


class Envelope:
    """A message that is complete, and whom it is for."""

    __slots__ = ("_mail", "_rcpts", "content", "hello", "peer", "tls", "user", "_message")

    def __init__(self, session: Any, mail: MailWords, rcpts: Sequence[RcptWords], content: bytes) -> None:
        pointer = session._core.pointer  # this is made where the session calls its handler, and nobody else may use it
        self._mail = mail
        self._rcpts = rcpts
        #: The content as it arrived, with CRLF, without the dots of the protocol.
        self.content = content
        #: The name that the client gave in EHLO.
        self.hello: str = text_of(lib.ehlo_server_hello(pointer))
        #: The client's address as the transport tells it: ("192.0.2.1", 4711), or "" by a Unix socket.
        self.peer: Any = session.peer
        #: Did it come by TLS?
        self.tls: bool = bool(lib.ehlo_server_tls(pointer))
        #: Who is logged in, "" if nobody is or the mechanism does not tell.
        self.user: str = text_of(lib.ehlo_server_identity(pointer))
        self._message: EmailMessage | None = None

    @property
    def mail_from(self) -> str:
        """The reverse-path, "" for the null path."""
        return self._mail.path.mailbox

    @property
    def recipients(self) -> list[str]:
        """The recipients that were accepted, in their order."""
        return [rcpt.path.mailbox for rcpt in self._rcpts]

    @property
    def mail_parameters(self) -> MailParameters:
        return self._mail.parameters

    @property
    def rcpt_parameters(self) -> list[RcptParameters]:
        """Those of each recipient, in the same order."""
        return [rcpt.parameters for rcpt in self._rcpts]

    def message(self) -> EmailMessage:
        """The content, parsed by `email` when this is called first."""
        if self._message is None:
            parsed = email.message_from_bytes(self.content, policy=email.policy.default)
            self._message = cast(EmailMessage, parsed)
        return self._message

    def __repr__(self) -> str:
        return f"Envelope(mail_from={self.mail_from!r}, recipients={self.recipients!r}, {len(self.content)} octets)"
