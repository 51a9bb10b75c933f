"""A message with its envelope, for handlers with `deliver`."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any, cast

from ..events import MailEvent, RcptEvent
from ..values import MailParameters, RcptParameters


class Envelope:
    """A message that is complete, and whom it is for."""

    __slots__ = ("_mail", "_rcpts", "content", "hello", "peer", "tls", "user", "_message")

    def __init__(self, session: Any, mail: MailEvent, rcpts: list[RcptEvent], content: bytes) -> None:
        self._mail = mail
        self._rcpts = rcpts
        #: The content as it arrived, with CRLF, without the dots of the protocol.
        self.content = content
        #: The name that the client gave in EHLO.
        self.hello: str = session.hello
        #: The client's address as the transport tells it: ("192.0.2.1", 4711), or "" by a Unix socket.
        self.peer: Any = session.peer
        #: Did it come by TLS?
        self.tls: bool = session.tls
        #: Who is logged in, "" if nobody is or the mechanism does not tell.
        self.user: str = session.identity
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
