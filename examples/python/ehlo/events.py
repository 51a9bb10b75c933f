"""The events of a server, one class for each EHLO_EVENT_ of the library.

Everything in them is a copy and lives on, but for the pieces of a body in a handler: see BodyEvent. Names, addresses
and texts are str, in which octets that are no UTF-8 survive as surrogate escapes; what is raw is bytes.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Callable

from ._binding import Spans, ffi, lib, octets_of, text_of
from ._questions import Event, Question
from ._session import Core
from .enums import ENDS, MECHANISMS, VERBS, VIOLATIONS, End, Mechanism, Verb, Violation
from .errors import ExpiredError, StateError, TicketError
from .values import (
    Credentials,
    Domain,
    Enhanced,
    MailParameters,
    Path,
    RcptParameters,
    credentials_out,
    domain_of,
    enhanced_of,
    mail_parameters_out,
    rcpt_parameters_out,
)


class ConnectEvent(Question):
    """The connection is there: how to greet? Silence: 220. 421, 4yz and 5yz refuse mail service."""

    __slots__ = ()
    FAILURE = 421


class CommandEvent(Event):
    """A line has arrived that has a verb, before anything is made of it."""

    __slots__ = ("verb", "line")

    def __init__(self, core: Core, event: Any) -> None:
        self._core = core
        self.verb: Verb = VERBS[event.verb]
        self.line = octets_of(event.line)


class HelloEvent(Question):
    """HELO, EHLO or LHLO: open the session? Silence: 250."""

    __slots__ = ("verb", "domain", "text")

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.verb: Verb = VERBS[event.verb]
        self.domain: Domain = domain_of(event.domain)
        self.text = text_of(event.text)


class MailEvent(Question):
    """MAIL, SEND, SOML or SAML: open a transaction? Silence: 250. With TRANSID also 355 (RFC 1845)."""

    __slots__ = ("verb", "path", "raw", "_parameters")

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.verb: Verb = VERBS[event.verb]
        self.path = Path(octets_of(event.path.raw))
        #: All parameters as they are spelt.
        self.raw = octets_of(event.raw)
        self._parameters = _Saved(event.parameters, event.raw) if self.raw else None

    @property
    def parameters(self) -> MailParameters:
        """What the parameters mean. Those that the library does not know stand in `raw` alone."""
        if self._parameters is None:
            return MailParameters()
        return self._parameters.read("ehlo_mail_parameters *", mail_parameters_out, self.raw)  # type: ignore[no-any-return]


class RcptEvent(Question):
    """RCPT: take this recipient? Silence: 451."""

    __slots__ = ("path", "raw", "_parameters")
    SILENCE = 451

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.path = Path(octets_of(event.path.raw))
        #: All parameters as they are spelt.
        self.raw = octets_of(event.raw)
        self._parameters = _Saved(event.parameters, event.raw) if self.raw else None

    @property
    def parameters(self) -> RcptParameters:
        """What the parameters mean. Those that the library does not know stand in `raw` alone."""
        if self._parameters is None:
            return RcptParameters()
        return self._parameters.read("ehlo_rcpt_parameters *", rcpt_parameters_out, self.raw)  # type: ignore[no-any-return]


class _Saved:
    """A struct of parameters, whose spans lie in `raw`, to be read only when somebody asks."""

    __slots__ = ("octets", "base")

    def __init__(self, struct: Any, raw: Any) -> None:
        self.octets = ffi.buffer(ffi.addressof(struct))[:]
        self.base = int(ffi.cast("uintptr_t", raw.ptr))

    def read(self, kind: str, read: Callable[..., Any], raw: bytes) -> Any:
        return read(ffi.from_buffer(kind, self.octets), raw, self.base)


class DataEvent(Question):
    """DATA: may the content come? Silence: 354."""

    __slots__ = ("recipients",)

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.recipients: int = event.recipients


class BodyEvent(Question):
    """A piece of content, without its dots. By BDAT it comes without DATA before it.

    In a handler the content is where it arrived: `pieces` are released when the handler returns, and what is asked of
    the event later raises ExpiredError; bytes(event), `add_to` and `write_to` copy. In the iterator it has been copied.

    `reject` refuses the message: no more of it comes, and the answer is given where the protocol wants it. `defer`, in
    a handler only, stops the content until `resume`. Silence: go on."""

    __slots__ = ("octets", "_spans", "_views", "_data")

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        #: Of content so far, this piece included.
        self.octets: int = event.octets
        self._spans: Any = event
        self._views: list[memoryview] | None = None
        self._data: bytes | None = None

    @property
    def pieces(self) -> tuple[memoryview, ...]:
        """The content, without a copy."""
        if self._data is not None:
            return (memoryview(self._data),)
        if self._views is None:
            body = self._live()
            source = self._core.input
            assert source is not None
            whole = ffi.from_buffer(source)
            base, size = int(ffi.cast("uintptr_t", whole)), len(whole)
            view = memoryview(source)
            self._views = [view]
            for span in body.spans[0 : body.count]:
                start, length = int(ffi.cast("uintptr_t", span.ptr)) - base, span.len
                if 0 <= start <= size - length:
                    self._views.append(view[start : start + length])
                else:  # a dot or a CR of the library's own
                    self._views.append(memoryview(octets_of(span)))
        return tuple(self._views[1:])

    def add_to(self, content: bytearray) -> None:
        """Appends the piece to `content`."""
        if self._data is not None:
            content += self._data
            return
        body = self._live()
        if body.count == 1:
            span = body.spans[0]
            content += ffi.buffer(span.ptr, span.len)
            return
        for span in body.spans[0 : body.count]:
            content += ffi.buffer(span.ptr, span.len)

    def write_to(self, file: BinaryIO | io.BytesIO) -> None:
        """Writes the piece to a file, without another copy: one whose `write` takes everything."""
        if self._data is not None:
            file.write(self._data)
            return
        body = self._live()
        for span in body.spans[0 : body.count]:
            file.write(ffi.buffer(span.ptr, span.len))

    def __bytes__(self) -> bytes:
        if self._data is not None:
            return self._data
        body = self._live()
        if body.count == 1:
            return octets_of(body.spans[0])
        return b"".join([octets_of(span) for span in body.spans[0 : body.count]])

    def resume(self) -> None:
        """Lets content flow again that `defer` stopped; then call `Server.advance`."""
        self._core.do(lib.ehlo_server_resume, self.ticket)
        if self._core.waker is not None:
            self._core.waker()

    def defer(self, tag: int | None = None) -> None:
        if self._iterated:
            raise StateError("in the iterator content is stopped by feeding no more of it")
        super().defer(tag)

    def _live(self) -> Any:
        if self._spans is None:
            raise ExpiredError("the content was there until the handler returned")
        return self._spans

    def _keep(self) -> None:
        self._data = bytes(self)
        self._iterated = True

    def _hold(self) -> None:
        self._data = bytes(self)
        super().defer()
        self._iterated = True
        self._later = []

    def _release(self) -> None:
        super()._release()
        try:
            self.resume()
        except (StateError, TicketError):  # the message was refused, or content flows already
            pass

    def _silence(self) -> None:
        pass

    def _expire(self) -> None:
        self._spans = None
        if self._views is not None:
            for view in reversed(self._views):
                try:
                    view.release()
                except BufferError:  # something of the handler's lives on in it, which keeps what it needs alive
                    pass
            self._views = None

    def __repr__(self) -> str:
        return f"BodyEvent(ticket={self.ticket}, octets={self.octets})"


class MessageEvent(Question):
    """The content is complete (SMTP): take the message? Silence: 451. A 2yz takes responsibility for it."""

    __slots__ = ("recipients", "octets")
    SILENCE = 451

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.recipients: int = event.recipients
        self.octets: int = event.octets


class ResultEvent(Question):
    """The content is complete (LMTP): take the message for this recipient, the `ordinal`-th that was accepted, counted
    from 0? Silence: 451."""

    __slots__ = ("ordinal", "octets")
    SILENCE = 451

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.ordinal: int = event.ordinal
        self.octets: int = event.octets


class EndEvent(Event):
    """A transaction is over: once for each MAIL that was accepted, after its last verdict."""

    __slots__ = ("reason", "recipients", "octets")

    def __init__(self, core: Core, event: Any) -> None:
        self._core = core
        self.reason: End = ENDS[event.reason]
        self.recipients: int = event.recipients
        self.octets: int = event.octets


class _Query(Question):
    __slots__ = ("argument", "smtputf8")
    SILENCE = 252

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.argument = text_of(event.argument)
        self.smtputf8 = bool(event.smtputf8)


class VrfyEvent(_Query):
    """VRFY: who is this? Silence: 252."""

    __slots__ = ()


class ExpnEvent(_Query):
    """EXPN: who is on this list? Silence: 252. One mailbox a line: see `more`."""

    __slots__ = ()


class HelpEvent(Question):
    """HELP. Silence: 214 and a list of the commands, in the iterator 214 alone."""

    __slots__ = ("argument",)
    SILENCE = 214

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.argument = text_of(event.argument)


class TurnEvent(Question):
    """TURN: reverse the roles? Silence: 502."""

    __slots__ = ()
    SILENCE = 502


class UnknownEvent(Question):
    """A verb that the library does not know. Silence: 500."""

    __slots__ = ("name", "argument")
    SILENCE = 500

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.name = text_of(event.name)
        self.argument = text_of(event.argument)


class ReplyEvent(Event):
    """A reply has been queued for the wire. `asked` is the ticket that asked for it, or 0."""

    __slots__ = ("verb", "code", "enhanced", "asked", "ordinal")

    def __init__(self, core: Core, event: Any) -> None:
        self._core = core
        self.verb: Verb = VERBS[event.verb]
        self.code: int = event.code
        self.enhanced: Enhanced | None = enhanced_of(event.enhanced)
        self.asked: int = event.asked
        self.ordinal: int = event.ordinal


class ViolationEvent(Event):
    """The peer broke a rule. `octets` is the line or part in question, raw: escape it before it is shown."""

    __slots__ = ("kind", "verb", "octets")

    def __init__(self, core: Core, event: Any) -> None:
        self._core = core
        self.kind: Violation = VIOLATIONS[event.kind]
        self.verb: Verb = VERBS[event.verb]
        self.octets = octets_of(event.octets)


class CancelEvent(Event):
    """A deferred question became pointless, because the session ends."""

    __slots__ = ("ticket", "tag")

    def __init__(self, core: Core, event: Any) -> None:
        self._core = core
        self.ticket: int = event.ticket
        self.tag: int = event.tag


class StartTlsEvent(Question):
    """STARTTLS: begin TLS? Silence: 454. See `Server.tls_done`."""

    __slots__ = ()
    SILENCE = 454
    FAILURE = 454


class _Exchange(Question):
    __slots__ = ()
    SILENCE = 454
    FAILURE = 454

    def challenge(self, octets: bytes) -> None:
        """Asks the client for more: 334. Its next response comes as StepEvent."""
        if self._later is not None:
            self._note(True, lambda: self.challenge(octets))
            return
        spans = Spans()
        self._core.do(lib.ehlo_server_challenge, self.ticket, spans.new(octets))
        self._answered(334)


class AuthEvent(_Exchange):
    """AUTH: are these credentials good? Silence: 454. Answers: 235 (`accept`), 535 (`reject`) where they are not. By
    XOAUTH2 and OAUTHBEARER `challenge` tells the client what is wrong."""

    __slots__ = ("credentials",)

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.credentials: Credentials = credentials_out(event)

    def reject(self, code: int = 535, enhanced: Any = None, text: str | bytes = "") -> None:
        super().reject(code, enhanced, text)


class StepEvent(_Exchange):
    """A response by a mechanism that is the program's to know; None where AUTH came without one. Silence: 454.
    Answers: 235, 4yz, 5yz, or `challenge`."""

    __slots__ = ("mechanism", "name", "response")

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.mechanism: Mechanism = MECHANISMS[event.mechanism]
        self.name = text_of(event.name)
        self.response: bytes | None = octets_of(event.response) if event.has_response else None

    def reject(self, code: int = 535, enhanced: Any = None, text: str | bytes = "") -> None:
        super().reject(code, enhanced, text)


class EtrnEvent(Question):
    """ETRN: send what is queued for a node, over another connection? `option` is "@", "#" or "". Silence: 458."""

    __slots__ = ("option", "node")
    SILENCE = 458

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.option = chr(event.option) if event.option else ""
        self.node = text_of(event.node)


class AtrnEvent(Question):
    """ATRN: turn round and send what there is for these domains (all, if there is none)? Silence: 451."""

    __slots__ = ("domains",)
    SILENCE = 451

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        domains = text_of(event.domains)
        self.domains: tuple[str, ...] = tuple(domains.split(",")) if domains else ()


class BurlEvent(Question):
    """BURL: fetch this as content; with `last` also the verdict on the message. Silence: 451."""

    __slots__ = ("url", "last", "recipients", "octets")
    SILENCE = 451

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        self.url = text_of(event.url)
        self.last = bool(event.last)
        self.recipients: int = event.recipients
        self.octets: int = event.octets


class _Peer(Question):
    __slots__ = ("raw",)
    SILENCE = 550

    def __init__(self, core: Core, ticket: int, event: Any) -> None:
        super().__init__(core, ticket)
        #: The attributes as they are spelt: see `ehlo.parse_attributes`.
        self.raw = octets_of(event.attributes)

    @property
    def attributes(self) -> dict[str, str]:
        """Names in upper case, values decoded from xtext."""
        from ._grammar import parse_attributes

        return parse_attributes(self.raw)


class XClientEvent(_Peer):
    """XCLIENT: may this peer say who the client is? Silence: 550."""

    __slots__ = ()


class XForwardEvent(_Peer):
    """XFORWARD: note what it says, for logs? Silence: 550."""

    __slots__ = ()


def _plain(kind: Any) -> Callable[[Core, Any], Any]:
    return lambda core, event: kind(core, event.ticket)


def _asking(kind: Any, field: str) -> Callable[[Core, Any], Any]:
    return lambda core, event: kind(core, event.ticket, getattr(getattr(event, "as"), field))


def _telling(kind: Any, field: str) -> Callable[[Core, Any], Any]:
    return lambda core, event: kind(core, getattr(getattr(event, "as"), field))


#: Name in ehlo.h, without EHLO_EVENT_: the class, and how it is built.
CLASSES: dict[str, tuple[type[Event], Callable[[Core, Any], Any]]] = {
    "CONNECT": (ConnectEvent, _plain(ConnectEvent)),
    "COMMAND": (CommandEvent, _telling(CommandEvent, "command")),
    "HELLO": (HelloEvent, _asking(HelloEvent, "hello")),
    "MAIL": (MailEvent, _asking(MailEvent, "mail")),
    "RCPT": (RcptEvent, _asking(RcptEvent, "rcpt")),
    "DATA": (DataEvent, _asking(DataEvent, "data")),
    "BODY": (BodyEvent, _asking(BodyEvent, "body")),
    "MESSAGE": (MessageEvent, _asking(MessageEvent, "message")),
    "RESULT": (ResultEvent, _asking(ResultEvent, "result")),
    "END": (EndEvent, _telling(EndEvent, "end")),
    "VRFY": (VrfyEvent, _asking(VrfyEvent, "query")),
    "EXPN": (ExpnEvent, _asking(ExpnEvent, "query")),
    "HELP": (HelpEvent, _asking(HelpEvent, "help")),
    "TURN": (TurnEvent, _plain(TurnEvent)),
    "UNKNOWN": (UnknownEvent, _asking(UnknownEvent, "unknown")),
    "REPLY": (ReplyEvent, _telling(ReplyEvent, "reply")),
    "VIOLATION": (ViolationEvent, _telling(ViolationEvent, "violation")),
    "CANCEL": (CancelEvent, _telling(CancelEvent, "cancel")),
    "STARTTLS": (StartTlsEvent, _plain(StartTlsEvent)),
    "AUTH": (AuthEvent, _asking(AuthEvent, "auth")),
    "STEP": (StepEvent, _asking(StepEvent, "step")),
    "ETRN": (EtrnEvent, _asking(EtrnEvent, "etrn")),
    "ATRN": (AtrnEvent, _asking(AtrnEvent, "atrn")),
    "BURL": (BurlEvent, _asking(BurlEvent, "burl")),
    "XCLIENT": (XClientEvent, _asking(XClientEvent, "peer")),
    "XFORWARD": (XForwardEvent, _asking(XForwardEvent, "peer")),
}
ServerEvent = Event
