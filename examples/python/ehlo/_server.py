"""The receiving machine."""

from __future__ import annotations

import inspect
from typing import Any

from ._binding import Spans, Text, decode, ffi, lib, server_callback, server_turn
from ._questions import EnhancedLike, Event, Question
from ._session import Session
from .config import ServerConfig
from .enums import MECHANISMS, VERBS, Extension, Mechanism, ServerEventType, Verb
from .errors import ArgumentError, SpaceError, check
from .events import (
    CLASSES,
    AtrnEvent,
    AuthEvent,
    BodyEvent,
    BurlEvent,
    CancelEvent,
    CommandEvent,
    ConnectEvent,
    DataEvent,
    EndEvent,
    EtrnEvent,
    ExpnEvent,
    HelloEvent,
    HelpEvent,
    MailEvent,
    MessageEvent,
    RcptEvent,
    ReplyEvent,
    ResultEvent,
    StartTlsEvent,
    StepEvent,
    TurnEvent,
    UnknownEvent,
    ViolationEvent,
    VrfyEvent,
    XClientEvent,
    XForwardEvent,
)
from .values import enhanced_in


class ServerHandler:
    """A handler to derive from; any object with some of these methods is one. A method that is not there (or not
    overridden) costs nothing: what its event asks gets the safe answer. No method returns anything: TypeError, as if it
    had raised that.

    What a method raises is logged ("ehlo"), told to `on_error`, and kept in `Server.error`; the peer is told 451, and the
    session goes on: a transaction in which it happened is lost. What is no Exception, KeyboardInterrupt and
    CancelledError above all, does the same to the session and is then raised by the call that led here."""

    def on_connect(self, event: ConnectEvent) -> None: ...
    def on_command(self, event: CommandEvent) -> None: ...
    def on_hello(self, event: HelloEvent) -> None: ...
    def on_mail(self, event: MailEvent) -> None: ...
    def on_rcpt(self, event: RcptEvent) -> None: ...
    def on_data(self, event: DataEvent) -> None: ...
    def on_body(self, event: BodyEvent) -> None: ...
    def on_message(self, event: MessageEvent) -> None: ...
    def on_result(self, event: ResultEvent) -> None: ...
    def on_end(self, event: EndEvent) -> None: ...
    def on_vrfy(self, event: VrfyEvent) -> None: ...
    def on_expn(self, event: ExpnEvent) -> None: ...
    def on_help(self, event: HelpEvent) -> None: ...
    def on_turn(self, event: TurnEvent) -> None: ...
    def on_unknown(self, event: UnknownEvent) -> None: ...
    def on_reply(self, event: ReplyEvent) -> None: ...
    def on_violation(self, event: ViolationEvent) -> None: ...
    def on_cancel(self, event: CancelEvent) -> None: ...
    def on_starttls(self, event: StartTlsEvent) -> None: ...
    def on_auth(self, event: AuthEvent) -> None: ...
    def on_step(self, event: StepEvent) -> None: ...
    def on_etrn(self, event: EtrnEvent) -> None: ...
    def on_atrn(self, event: AtrnEvent) -> None: ...
    def on_burl(self, event: BurlEvent) -> None: ...
    def on_xclient(self, event: XClientEvent) -> None: ...
    def on_xforward(self, event: XForwardEvent) -> None: ...
    def on_error(self, error: Exception, event: Event | None) -> None: ...


def _by_number(what: dict[str, Any]) -> list[Any]:
    numbers = {getattr(lib, f"EHLO_EVENT_{name}"): each for name, each in what.items()}
    return [numbers.get(number) for number in range(max(numbers) + 1)]


class Server(Session[Event]):
    """A session of the receiving side, SMTP or LMTP, without any I/O:

        server = ehlo.Server("mail.example.org", handler)
        server.start()
        while not server.want & ehlo.Want.CLOSE:
            sock.sendall(server.take_output())
            data = sock.recv(65536)
            server.feed(data) if data else server.eof()
        sock.sendall(server.take_output())

    With a handler its methods get the events, within the calls above. Without one, the events are taken behind them:

        for event in server.events():
            if isinstance(event, ehlo.RcptEvent):
                event.accept()

    One thread at a time may use a session: InUseError otherwise, and nothing is done. Different sessions do not know of
    each other.
    """

    __slots__ = ("_last", "_asleep")

    _feed = lib.ehlo_server_feed
    _output = lib.ehlo_server_output
    _sent = lib.ehlo_server_sent
    _take_turn = staticmethod(server_turn)  # a Python function, where there is no extension
    _want = lib.ehlo_server_want
    _timeout = lib.ehlo_server_timeout
    _eof = lib.ehlo_server_eof
    _timed_out = lib.ehlo_server_timed_out
    _base = ServerHandler
    _builders = _by_number({name: build for name, (_, build) in CLASSES.items()})
    _names = {int(kind): f"on_{kind.name.lower()}" for kind in ServerEventType}
    _expiring = frozenset({int(ServerEventType.BODY)})

    def __init__(self, config: ServerConfig | str, handler: object | None = None) -> None:
        """`config` may be just the host name. Begins with `start`."""
        config = ServerConfig(hostname=config) if isinstance(config, str) else config
        struct, size, _ = config._made
        self._begin(size, handler)
        core, out = self._core, ffi.new("ehlo_server **")
        memory, block = core.block(size)
        check(lib.ehlo_server_init(out, block, size, struct, server_callback, self._user))
        core.settle(memory, out[0])

    def _begin(self, size: int, handler: object | None) -> None:
        super().__init__(size, handler)
        self._last: Event | None = None
        self._asleep = False

    # ---- life ----

    def start(self) -> None:
        """The connection is there: asks for the greeting."""
        self._run(lib.ehlo_server_start)

    def lost(self) -> None:
        """The peer is gone, nothing can be sent any more."""
        self._run(lib.ehlo_server_lost)

    def shutdown(self, code: int = 421, enhanced: EnhancedLike = None, text: Text = "") -> None:
        """The host must stop: deferred questions are cancelled, a last reply is queued, the session ends."""
        spans = Spans()
        self._run(lib.ehlo_server_shutdown, code, enhanced_in(enhanced), spans.new(text))

    def tls_done(self, verified: bool = False) -> None:
        """TLS is there: behind a STARTTLS that was accepted, once `want` shows TLS and the output is written; or, before
        `start`, from the beginning. `verified`: the peer showed a certificate that this host trusts."""
        self._awake()
        tls = ffi.new("ehlo_tls *")
        tls.struct_size, tls.verified = ffi.sizeof("ehlo_tls"), int(verified)
        self._core.do(lib.ehlo_server_tls_done, tls)

    def offer(self, extension: Extension, on: bool) -> None:
        """Switches an extension on or off for the next EHLO answer. What the config had off cannot be switched on."""
        self._awake()
        self._core.do(lib.ehlo_server_offer, extension, int(on))

    def authorize(self, name: Text = "") -> None:
        """The host vouches for the client, by its address or certificate: `require_auth` is met, and `name` is what
        `identity` tells."""
        spans = Spans()
        self._awake()
        self._core.do(lib.ehlo_server_authorize, spans.new(name))

    # ---- the block ----

    @property
    def kept(self) -> int:
        """How many octets of the block hold something just now."""
        return self._core.get(lib.ehlo_server_kept)  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """How many octets the block has when the session is awake."""
        return self._core.size

    def sleep(self) -> None:
        """Gives back what is not needed while nothing goes on: worth its while for sessions that idle. The next call
        that brings something wakes the session."""
        if not self._asleep:
            self._move(self.kept)
            self._asleep = True

    def _awake(self) -> None:
        if self._asleep:
            self._move(self._core.size)
            self._asleep = False

    def _move(self, size: int) -> None:
        core = self._core
        outer = core.enter()
        try:
            memory, block = core.block(size)
            out = ffi.new("ehlo_server **")
            check(lib.ehlo_server_move(out, block, size, core.pointer))
            core.settle(memory, out[0])
        finally:
            if outer:
                core.leave()

    def save(self) -> bytes:
        """The whole session as octets, for `restore`; with what passwords may be in it, and what feed has kept. To be
        called when no event waits in the iterator. This session is not to be used any more."""
        core = self._core
        core.enter_alone()
        try:
            self._awake()
            octets: bytes = ffi.buffer(core.pointer, core.size)[:]
            return octets + bytes(self._held)
        finally:
            core.leave()

    @classmethod
    def restore(cls, saved: bytes, config: ServerConfig, handler: object | None = None) -> Server:
        """Takes up a saved session: same library version, same kind of machine, the config that it was made with. The
        deferred questions of its events can be answered by `answer`."""
        size = config._made[1]
        if len(saved) < size:
            raise ArgumentError("this is no session of that config")
        self = cls.__new__(cls)
        self._begin(size, handler)
        core, out = self._core, ffi.new("ehlo_server **")
        memory, block = core.block(size)
        ffi.memmove(block, saved, size)
        check(lib.ehlo_server_attach(out, block, size, server_callback, self._user))
        core.settle(memory, out[0])
        self._held += saved[size:]
        return self

    # ---- answers by ticket, for those who keep no events ----

    def answer(self, ticket: int) -> Question:
        """A question by its ticket alone."""
        question = Question(self._core, ticket)
        question._settled = True  # it was deferred
        return question

    # ---- events ----

    def _returned(self, result: object) -> None:
        """Who returns "550 No", or a coroutine that nobody will run, believes to have answered: that is a failure."""
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(f"a handler's method returns nothing, and has returned {type(result).__name__}")

    def _keep(self, event: Event) -> None:
        keep = getattr(event, "_keep", None)
        if keep is not None:
            keep()

    def next_event(self) -> Event | None:
        """The next event, or None if there is none now. The event that was taken before gets the safe answer, if it
        asked and was neither answered nor deferred; if there is no room for that, None: send some output first. Only
        without a handler."""
        if isinstance(self._last, Question):
            try:
                self._last._silence()
            except SpaceError:
                return None
        self._last = None
        event = super().next_event()
        self._last = event
        return event

    # ---- getters ----

    @property
    def hello(self) -> str:
        """The name that the client gave in the last HELO, EHLO or LHLO that was accepted; empty before."""
        return decode(self._core.span(lib.ehlo_server_hello))

    @property
    def hello_verb(self) -> Verb:
        """The verb of that command; Verb.NONE before."""
        return VERBS[self._core.get(lib.ehlo_server_hello_verb)]

    @property
    def tls(self) -> bool:
        """Is the session under TLS?"""
        return bool(self._core.get(lib.ehlo_server_tls))

    @property
    def authenticated(self) -> bool:
        """Did AUTH succeed?"""
        return bool(self._core.get(lib.ehlo_server_authenticated))

    @property
    def mechanism(self) -> Mechanism:
        """By which mechanism; Mechanism.OTHER before."""
        return MECHANISMS[self._core.get(lib.ehlo_server_mechanism)]

    @property
    def identity(self) -> str:
        """Who is logged in; empty if nobody is, or the library does not know."""
        return decode(self._core.span(lib.ehlo_server_identity))

    @property
    def transmission_type(self) -> str:
        """The keyword for the WITH clause of Received, for the open transaction: "ESMTP"."""
        return decode(self._core.span(lib.ehlo_server_transmission_type))

    @property
    def recipients(self) -> int:
        """How many were accepted in the open transaction."""
        return self._core.get(lib.ehlo_server_recipients)  # type: ignore[no-any-return]

    @property
    def transactions(self) -> int:
        """How many were opened in this session."""
        return self._core.get(lib.ehlo_server_transactions)  # type: ignore[no-any-return]

    @property
    def errors(self) -> int:
        """How many were counted against `max_errors`."""
        return self._core.get(lib.ehlo_server_errors)  # type: ignore[no-any-return]

    @property
    def octets(self) -> int:
        """How much content has come so far in the open transaction."""
        return self._core.get(lib.ehlo_server_octets)  # type: ignore[no-any-return]
