"""The events of a client, one class for each EHLO_CLIENT_EVENT_ of the library. All in them is a copy and lives on.

`tag` is that of the command: for MESSAGE that of DATA, for RESULT that of RCPT, in ClientEndEvent that of MAIL.
"""

from __future__ import annotations

from typing import Any, Callable

from ._binding import octets_of
from ._questions import Event
from ._session import Core
from .enums import ENDS, VERBS, VIOLATIONS, End, Verb, Violation
from .errors import ProtocolViolation
from .values import Enhanced, enhanced_of


class ClientEvent(Event):
    """What happened in a client's session."""

    __slots__ = ("tag",)

    def __init__(self, core: Core, event: Any) -> None:
        self._core = core
        self.tag: int = event.tag


class _Line(ClientEvent):
    __slots__ = ("verb", "code", "ordinal", "number", "enhanced", "text", "line")

    def __init__(self, core: Core, event: Any) -> None:
        super().__init__(core, event)
        reply = getattr(event, "as").reply
        #: What is answered: CONNECT for the greeting, MESSAGE for the verdict, RESULT for that on one LMTP recipient.
        self.verb: Verb = VERBS[reply.verb]
        self.code: int = reply.code
        #: RCPT and RESULT: the recipient, counted from 0.
        self.ordinal: int = reply.ordinal
        self.number: int = reply.number
        self.enhanced: Enhanced | None = enhanced_of(reply.enhanced)
        #: Behind code and enhanced code. Raw: it may hold control characters, and octets above 127.
        self.text = octets_of(reply.text)
        self.line = octets_of(reply.line)


class ClientLineEvent(_Line):
    """A line of a reply, but not its last."""

    __slots__ = ()


class ClientReplyEvent(_Line):
    """The last line of a reply. `fallback`: EHLO was not understood, and HELO follows by itself. `offset`: with 355 to
    MAIL the octets of content that the server has."""

    __slots__ = ("fallback", "offset")

    def __init__(self, core: Core, event: Any) -> None:
        super().__init__(core, event)
        reply = getattr(event, "as").reply
        self.fallback = bool(reply.fallback)
        self.offset: int = reply.offset


class ClientHelloEvent(ClientEvent):
    """What the server offers is known: now is the time for `mail`."""

    __slots__ = ()


class ClientContentEvent(ClientEvent):
    """The server waits for the message: now is the time for `body`."""

    __slots__ = ("recipients",)

    def __init__(self, core: Core, event: Any) -> None:
        super().__init__(core, event)
        self.recipients: int = getattr(event, "as").content.recipients


class ClientEndEvent(ClientEvent):
    """A transaction is over, once for each that was called. ACCEPTED: the server is responsible for the message, for
    every recipient that it accepted. MIXED (LMTP): for those whose RESULT was 2yz. Anything else: for none."""

    __slots__ = ("reason", "recipients", "code", "enhanced", "needs_reset")

    def __init__(self, core: Core, event: Any) -> None:
        super().__init__(core, event)
        end = getattr(event, "as").end
        self.reason: End = ENDS[end.reason]
        self.recipients: int = end.recipients
        #: The reply that decided; 0 for RESET, SUPERSEDED, QUIT.
        self.code: int = end.code
        self.enhanced: Enhanced | None = enhanced_of(end.enhanced)
        #: The server still holds the transaction: `rset` before the next `mail`.
        self.needs_reset = bool(end.needs_reset)


class ClientViolationEvent(ClientEvent):
    """The server broke a rule, which ends the session unless `goes_on`."""

    __slots__ = ("kind", "verb", "octets", "goes_on")

    def __init__(self, core: Core, event: Any) -> None:
        super().__init__(core, event)
        violation = getattr(event, "as").violation
        self.kind: Violation = VIOLATIONS[violation.kind]
        self.verb: Verb = VERBS[violation.verb]
        self.octets = octets_of(violation.octets)
        self.goes_on = bool(violation.goes_on)

    def error(self) -> ProtocolViolation:
        """The same as an exception."""
        return ProtocolViolation(self.kind, self.octets)


class ClientChallengeEvent(ClientEvent):
    """AUTH: the server wants to hear more. Unless `answered`, call `auth_respond` or `auth_cancel`, now or later."""

    __slots__ = ("octets", "number", "answered")

    def __init__(self, core: Core, event: Any) -> None:
        super().__init__(core, event)
        challenge = getattr(event, "as").challenge
        self.octets = octets_of(challenge.octets)
        self.number: int = challenge.number
        self.answered = bool(challenge.answered)


#: Name in ehlo.h, without EHLO_CLIENT_EVENT_: the class.
CLASSES: dict[str, type[ClientEvent]] = {
    "LINE": ClientLineEvent,
    "REPLY": ClientReplyEvent,
    "HELLO": ClientHelloEvent,
    "CONTENT": ClientContentEvent,
    "END": ClientEndEvent,
    "VIOLATION": ClientViolationEvent,
    "CHALLENGE": ClientChallengeEvent,
}
BUILDERS: dict[str, Callable[[Core, Any], ClientEvent]] = dict(CLASSES)
