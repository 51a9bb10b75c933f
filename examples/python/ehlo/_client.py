"""The sending machine."""

from __future__ import annotations

from typing import Any

from ._binding import Octets, Spans, Text, client_callback, client_turn, decode, ffi, lib
from ._session import Session
from .client_events import (
    CLASSES,
    ClientChallengeEvent,
    ClientContentEvent,
    ClientEndEvent,
    ClientEvent,
    ClientHelloEvent,
    ClientLineEvent,
    ClientReplyEvent,
    ClientViolationEvent,
)
from .config import ClientConfig
from .enums import MECHANISMS, VERBS, ClientEventType, Extension, Mechanism, Verb, Violation
from .errors import ArgumentError, ProtocolViolation, check
from .values import Credentials, MailParameters, RcptParameters, credentials_in, mail_parameters_in, rcpt_parameters_in

_SPANS = 64


class ClientHandler:
    """A handler to derive from; any object with some of these methods is one. What a method raises is logged ("ehlo"),
    told to `on_error`, kept in `Client.error`, and ends the session: the call that led here raises HandlerError from
    it."""

    def on_line(self, event: ClientLineEvent) -> None: ...
    def on_reply(self, event: ClientReplyEvent) -> None: ...
    def on_hello(self, event: ClientHelloEvent) -> None: ...
    def on_content(self, event: ClientContentEvent) -> None: ...
    def on_end(self, event: ClientEndEvent) -> None: ...
    def on_violation(self, event: ClientViolationEvent) -> None: ...
    def on_challenge(self, event: ClientChallengeEvent) -> None: ...
    def on_error(self, error: Exception, event: ClientEvent | None) -> None: ...


def _by_number(what: dict[str, Any]) -> list[Any]:
    numbers = {getattr(lib, f"EHLO_CLIENT_EVENT_{name}"): each for name, each in what.items()}
    return [numbers.get(number) for number in range(max(numbers) + 1)]


class Client(Session[ClientEvent]):
    """A session of the sending side, SMTP or LMTP, without any I/O. Every command is a method: it is checked, written
    into the output at once, and leaves when the protocol allows, in groups where the server offered PIPELINING. A
    method that raises has changed nothing, and not one octet leaves. `tag` is the caller's own, and comes back in the
    events of the reply.

    Commands raise, beside what is said there: ArgumentError, StateError (not now), SpaceError (send, feed, and call
    again), GrammarError and TooLongError for what may not leave, NotOfferedError and its kin for what the server did
    not offer.
    """

    __slots__ = ()

    _feed = lib.ehlo_client_feed
    _output = lib.ehlo_client_output
    _sent = lib.ehlo_client_sent
    _take_turn = staticmethod(client_turn)
    _want = lib.ehlo_client_want
    _timeout = lib.ehlo_client_timeout
    _eof = lib.ehlo_client_eof
    _timed_out = lib.ehlo_client_timed_out
    _base = ClientHandler
    _builders = _by_number(CLASSES)
    _names = {int(kind): f"on_{kind.name.lower()}" for kind in ClientEventType}

    def __init__(self, config: ClientConfig | str, handler: object | None = None) -> None:
        """`config` may be just the name of this host. Waits for the greeting; commands can be called before."""
        config = ClientConfig(hostname=config) if isinstance(config, str) else config
        struct, size, _ = config._made
        super().__init__(size, handler)
        core, out = self._core, ffi.new("ehlo_client **")
        memory, block = core.block(size)
        check(lib.ehlo_client_init(out, block, size, struct, client_callback, self._user))
        core.settle(memory, out[0])

    def save(self) -> bytes:
        """The whole session as octets, for `restore`, with what passwords may be in it. This session is not to be used
        any more."""
        core = self._core
        core.enter_alone()
        try:
            return ffi.buffer(core.pointer, core.size)[:]  # type: ignore[no-any-return]
        finally:
            core.leave()

    @classmethod
    def restore(cls, saved: bytes, config: ClientConfig, handler: object | None = None) -> Client:
        """Takes up a saved session: same library version, same kind of machine, the config that it was made with."""
        size = config._made[1]
        if len(saved) != size:
            raise ArgumentError("this is no session of that config")
        self = cls.__new__(cls)
        Session.__init__(self, size, handler)
        core, out = self._core, ffi.new("ehlo_client **")
        memory, block = core.block(size)
        ffi.memmove(block, saved, size)
        check(lib.ehlo_client_attach(out, block, size, client_callback, self._user))
        core.settle(memory, out[0])
        return self

    # ---- commands ----

    def _say(self, function: Any, *texts_and_numbers: Any) -> None:
        spans = Spans()
        arguments = [spans.new(each) if isinstance(each, (str, bytes)) else each for each in texts_and_numbers]
        try:
            self._core.do(function, *arguments)
        except OverflowError:
            raise ArgumentError() from None

    def hello(self, tag: int = 0) -> None:
        """EHLO, or LHLO in LMTP. If EHLO is not understood HELO follows by itself, unless the config's `no_helo`."""
        self._say(lib.ehlo_client_hello, tag)

    def helo(self, tag: int = 0) -> None:
        """HELO itself, for servers that are known to drop the connection at EHLO."""
        self._say(lib.ehlo_client_helo, tag)

    def mail(self, path: Text, parameters: MailParameters | None = None, tag: int = 0) -> None:
        """MAIL FROM opens a transaction: "user@example.org", with or without angle brackets; "" for the null path.
        Raises also SizeError, EightBitMimeError, SmtpUtf8Error, TlsRequiredError, NotOfferedError, LimitError."""
        self._open(lib.ehlo_client_mail, path, parameters, tag)

    def send(self, path: Text, parameters: MailParameters | None = None, tag: int = 0) -> None:
        """SEND FROM (RFC 821 3.4), as `mail`."""
        self._open(lib.ehlo_client_send, path, parameters, tag)

    def soml(self, path: Text, parameters: MailParameters | None = None, tag: int = 0) -> None:
        """SOML FROM, as `mail`."""
        self._open(lib.ehlo_client_soml, path, parameters, tag)

    def saml(self, path: Text, parameters: MailParameters | None = None, tag: int = 0) -> None:
        """SAML FROM, as `mail`."""
        self._open(lib.ehlo_client_saml, path, parameters, tag)

    def _open(self, function: Any, path: Text, parameters: MailParameters | None, tag: int) -> None:
        if parameters is None:
            self._say(function, path, ffi.NULL, tag)
            return
        struct, spans = mail_parameters_in(parameters)
        self._say(function, path, struct, tag)
        del spans

    def rcpt(self, path: Text, parameters: RcptParameters | None = None, tag: int = 0) -> None:
        """RCPT TO adds a recipient. Raises also RefusedError, SmtpUtf8Error, NotOfferedError, LimitError."""
        if parameters is None:
            self._say(lib.ehlo_client_rcpt, path, ffi.NULL, tag)
            return
        struct, spans = rcpt_parameters_in(parameters)
        self._say(lib.ehlo_client_rcpt, path, struct, tag)
        del spans

    def data(self, tag: int = 0) -> None:
        """The content is to come: DATA, or where it goes by BDAT nothing yet. If `want` then shows FEED, call
        `advance`. Raises also RefusedError: nobody is left to send to."""
        self._say(lib.ehlo_client_data, tag)

    def rset(self, tag: int = 0) -> None:
        """RSET ends the open transaction, and what the server still holds of one that has ended (needs_reset)."""
        self._say(lib.ehlo_client_rset, tag)

    def vrfy(self, argument: Text, smtputf8: bool = False, tag: int = 0) -> None:
        self._say(lib.ehlo_client_vrfy, argument, int(smtputf8), tag)

    def expn(self, argument: Text, smtputf8: bool = False, tag: int = 0) -> None:
        self._say(lib.ehlo_client_expn, argument, int(smtputf8), tag)

    def help(self, argument: Text = "", tag: int = 0) -> None:
        self._say(lib.ehlo_client_help, argument, tag)

    def noop(self, argument: Text = "", tag: int = 0) -> None:
        self._say(lib.ehlo_client_noop, argument, tag)

    def quit(self, tag: int = 0) -> None:
        """QUIT: the last command. When it is answered `want` shows CLOSE."""
        self._say(lib.ehlo_client_quit, tag)

    def turn(self, tag: int = 0) -> None:
        """TURN (RFC 821 3.8). After a 2yz `want` shows TURN."""
        self._say(lib.ehlo_client_turn, tag)

    def starttls(self, tag: int = 0) -> None:
        """STARTTLS. After a 2yz `want` shows TLS: do the handshake and call `tls_done`."""
        self._say(lib.ehlo_client_starttls, tag)

    def tls_done(self) -> None:
        """TLS is there: what the server said before is forgotten, `hello` is next. Before the greeting it says that TLS
        was there first."""
        self._core.do(lib.ehlo_client_tls_done)

    def auth(self, credentials: Credentials, tag: int = 0) -> None:
        """AUTH by PLAIN, LOGIN, EXTERNAL, XOAUTH2 or OAUTHBEARER; the library leads the exchange. Raises also
        NotOfferedError, TlsRequiredError, TextError."""
        struct, spans = credentials_in(credentials)
        self._say(lib.ehlo_client_auth, struct, tag)
        del spans

    def auth_begin(self, mechanism: Text, initial: bytes | None = None, tag: int = 0) -> None:
        """AUTH by any mechanism: each ClientChallengeEvent is the caller's to answer."""
        spans = Spans()
        first = ffi.NULL if initial is None else ffi.addressof(spans.new(initial))
        self._say(lib.ehlo_client_auth_begin, mechanism, first, tag)
        del spans

    def auth_respond(self, octets: bytes) -> None:
        """Answers a challenge."""
        self._say(lib.ehlo_client_auth_respond, octets)

    def auth_cancel(self) -> None:
        """Gives the exchange up."""
        self._say(lib.ehlo_client_auth_cancel)

    def etrn(self, node: Text, tag: int = 0) -> None:
        self._say(lib.ehlo_client_etrn, node, tag)

    def atrn(self, domains: Text = "", tag: int = 0) -> None:
        """ATRN (RFC 2645); a comma between domains. After a 2yz `want` shows TURN."""
        self._say(lib.ehlo_client_atrn, domains, tag)

    def burl(self, url: Text, last: bool = True, tag: int = 0) -> None:
        """BURL (RFC 4468): content that the server fetches."""
        self._say(lib.ehlo_client_burl, url, int(last), tag)

    def xclient(self, attributes: Text, tag: int = 0) -> None:
        """XCLIENT (Postfix): "NAME=spike.example ADDR=192.0.2.1", values in xtext."""
        self._say(lib.ehlo_client_xclient, attributes, tag)

    def xforward(self, attributes: Text, tag: int = 0) -> None:
        self._say(lib.ehlo_client_xforward, attributes, tag)

    def command(self, verb: Text, argument: Text = "", tag: int = 0) -> None:
        """A command that the library does not know."""
        self._say(lib.ehlo_client_command, verb, argument, tag)

    # ---- content ----

    def body(self, data: Octets) -> int:
        """Takes the next piece of content, from ClientContentEvent on, while `want` shows CONTENT; line endings are CRLF
        (or, with the config's `convert_lf`, LF). Returns how many octets went in: fewer than all, or none, when the
        output is full. Raises BareNewlineError or EightBitMimeError for a message that cannot be completed any more
        (`body_abort` is left), StateError, RefusedError."""
        core, taken = self._core, self._count
        outer = core.enter()
        try:
            with memoryview(data) as view, ffi.from_buffer("char[]", view) as pointer:
                code = lib.ehlo_client_body(core.pointer, pointer, len(pointer), taken)
                count: int = taken[0]
        finally:
            if outer:
                core.leave()
        check(code)
        return count

    def body_gather(self, data: Octets) -> tuple[int, list[memoryview]]:
        """The same without a copy: how many octets were taken, and what to write, in order, before anything else of
        this session. SpaceError unless the output is empty."""
        core, taken = self._core, self._count
        spans, count = ffi.new("ehlo_span[]", _SPANS), ffi.new("size_t *")
        view = memoryview(data).cast("B")
        outer = core.enter()
        try:
            with ffi.from_buffer("char[]", view) as pointer:
                base, size = int(ffi.cast("uintptr_t", pointer)), len(pointer)
                code = lib.ehlo_client_body_gather(core.pointer, pointer, size, taken, spans, _SPANS, count)
                pieces = []
                for span in spans[0 : count[0]]:
                    start, length = int(ffi.cast("uintptr_t", span.ptr)) - base, span.len
                    inside = 0 <= start <= size - length
                    pieces.append(
                        view[start : start + length] if inside else memoryview(ffi.unpack(span.ptr, length))
                    )
                total: int = taken[0]
        finally:
            if outer:
                core.leave()
        check(code)
        return total, pieces

    def body_end(self) -> None:
        """The content is complete. Raises also BareNewlineError, RefusedError, SpaceError (send, and call again)."""
        self._core.do(lib.ehlo_client_body_end)

    def body_abort(self) -> None:
        """The content cannot be given: the session ends, unless DATA has not left yet."""
        self._run(lib.ehlo_client_body_abort)

    # ---- getters ----

    def offers(self, extension: Extension) -> bool:
        """Is it on offer, and used?"""
        return bool(self._core.get(lib.ehlo_client_offers, extension))

    def parameters(self, extension: Extension) -> str:
        """What the server listed behind an extension's keyword."""
        return decode(self._core.span(lib.ehlo_client_parameters, extension))

    @property
    def size_limit(self) -> int:
        """The octets of a message that the server takes at most; 0 if it does not say."""
        return self._core.get(lib.ehlo_client_size_limit)  # type: ignore[no-any-return]

    @property
    def mechanisms(self) -> frozenset[Mechanism]:
        """The mechanisms of AUTH that the library knows and the server listed."""
        bits = self._core.get(lib.ehlo_client_mechanisms)
        return frozenset(MECHANISMS[number] for number in range(32) if bits >> number & 1)

    @property
    def by_min(self) -> int:
        return self._core.get(lib.ehlo_client_by_min)  # type: ignore[no-any-return]

    @property
    def hold_max(self) -> int:
        return self._core.get(lib.ehlo_client_hold_max)  # type: ignore[no-any-return]

    @property
    def hold_until_max(self) -> int:
        return self._core.get(lib.ehlo_client_hold_until_max)  # type: ignore[no-any-return]

    @property
    def mail_max(self) -> int:
        return self._core.get(lib.ehlo_client_mail_max)  # type: ignore[no-any-return]

    @property
    def rcpt_max(self) -> int:
        return self._core.get(lib.ehlo_client_rcpt_max)  # type: ignore[no-any-return]

    @property
    def rcpt_domain_max(self) -> int:
        return self._core.get(lib.ehlo_client_rcpt_domain_max)  # type: ignore[no-any-return]

    @property
    def hello_verb(self) -> Verb:
        """The verb of the hello that opened the session; Verb.NONE before."""
        return VERBS[self._core.get(lib.ehlo_client_hello_verb)]

    @property
    def authenticated(self) -> bool:
        return bool(self._core.get(lib.ehlo_client_authenticated))

    @property
    def tls(self) -> bool:
        return bool(self._core.get(lib.ehlo_client_tls))

    @property
    def pending(self) -> int:
        """How many commands wait for their replies."""
        return self._core.get(lib.ehlo_client_pending)  # type: ignore[no-any-return]

    @property
    def violation(self) -> Violation | None:
        """What ended the session, if the server broke the protocol."""
        kind = self._core.get(lib.ehlo_client_violation)
        return Violation(kind) if kind else None

    def raise_for_violation(self) -> None:
        """Raises ProtocolViolation if that is what ended the session."""
        kind = self.violation
        if kind is not None:
            raise ProtocolViolation(kind)


