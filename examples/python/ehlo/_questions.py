"""Events, and those of them that ask."""

from __future__ import annotations

from typing import Any, Callable, ClassVar

from ._binding import Spans, Text, lib
from ._session import Core
from .enums import Parse
from .errors import ArgumentError, CodeError, StateError, TicketError, check
from .values import Enhanced, enhanced_in

EnhancedLike = str | Enhanced | tuple[int, int, int] | None


class Event:
    """What happened in a session."""

    __slots__ = ("_core",)
    _core: Core

    @property
    def session(self) -> Any:
        """The Server or Client that this happened in."""
        session = self._core.owner_session()
        if session is None:
            raise StateError("the session is gone")
        return session

    def __repr__(self) -> str:
        names = [
            name
            for kind in reversed(type(self).__mro__)
            for name in getattr(kind, "__slots__", ())
            if not name.startswith("_")
        ]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


class Question(Event):
    """An event that asks. Answer it with `accept`, `reject` or `reply`, in the handler or, behind `defer`, whenever it
    is known; in the iterator, before the next event is taken, or behind `defer` whenever it is known. What is neither
    answered nor deferred gets the safe answer, which the class names.

    Outside of a handler (and of the iterator, which sees to it) call `Server.advance` after an answer. A second answer,
    or one to what was cancelled, raises TicketError; a code that may not answer this, CodeError; one for which there is
    no room now, SpaceError: send some output and answer again. An error changes nothing."""

    __slots__ = ("ticket", "_iterated", "_settled", "_code", "_later")
    ticket: int

    #: The code of the safe answer; 0 where `accept` gives it.
    SILENCE: ClassVar[int] = 0
    #: The code where the handler fails.
    FAILURE: ClassVar[int] = 451

    def __init__(self, core: Core, ticket: int) -> None:
        self._core = core
        self.ticket = ticket
        self._iterated = False
        self._settled = False
        self._code = 0  # what was answered, 250 for any acceptance
        # While a coroutine has the event: its answers, which are given when it ends. See `_hold`.
        self._later: list[tuple[bool, Callable[[], None]]] | None = None

    def accept(self) -> None:
        """The right positive answer, with its default text."""
        if self._later is not None:
            self._note(True, self.accept)
            return
        self._core.do(lib.ehlo_server_accept, self.ticket)
        self._answered(250)

    def reject(self, code: int = 550, enhanced: EnhancedLike = None, text: Text = "") -> None:
        """A refusal: 4yz (try again later) or 5yz. Enhanced code ("5.1.1") and text have defaults."""
        if not 400 <= code <= 599:
            raise CodeError(f"{code} is no refusal")
        self.reply(code, enhanced, text)

    def reply(self, code: int, enhanced: EnhancedLike = None, text: Text = "") -> None:
        """Any answer that is legal here."""
        if self._later is not None:
            _well_formed(code, enhanced, text)
            self._note(True, lambda: self.reply(code, enhanced, text))
            return
        self._answer(lib.ehlo_server_reply, code, enhanced, text)
        self._answered(code)

    def more(self, code: int, enhanced: EnhancedLike = None, text: Text = "") -> None:
        """A line of a long answer, which `reply` ends, with the same codes."""
        if self._later is not None:
            _well_formed(code, enhanced, text)
            self._note(False, lambda: self.more(code, enhanced, text))
            return
        self._answer(lib.ehlo_server_reply_more, code, enhanced, text)

    def _answer(self, function: Any, code: int, enhanced: EnhancedLike, text: Text) -> None:
        if not 0 <= code <= 999:
            raise CodeError()
        if self.ticket == 0:
            raise TicketError()
        spans = Spans()
        self._core.do(function, self.ticket, code, enhanced_in(enhanced), spans.new(text))

    def _answered(self, code: int) -> None:
        waker = self._core.waker
        if waker is not None and self._settled:  # it was deferred
            waker()
        self._settled = True
        self._code = code

    def defer(self, tag: int | None = None) -> None:
        """The answer comes later. `tag`, by default the ticket, comes back in CancelEvent if the question becomes
        pointless. In the iterator it only says that silence is not the answer."""
        if self._iterated:
            if self._settled:
                raise TicketError()
            self._settled = True
            return
        tag = self.ticket if tag is None else tag
        if not 0 <= tag < 1 << 64:
            raise ArgumentError()
        self._core.do(lib.ehlo_server_defer, self.ticket, tag)
        self._settled = True

    def _keep(self) -> None:
        """Defers it for the iterator."""
        check(lib.ehlo_server_defer(self._core.pointer, self.ticket, self.ticket))
        self._iterated = True

    # ---- for coroutines: ehlo.aio ----

    def _hold(self) -> None:
        """Defers it for a coroutine: what this answers is noted, and given by `_release`."""
        self._keep()
        self._later = []

    def _note(self, final: bool, call: Callable[[], None]) -> None:
        assert self._later is not None
        if self._later and self._later[-1][0]:
            raise TicketError()
        self._later.append((final, call))

    def _release(self) -> None:
        """The coroutine has ended: gives what it answered, or else the safe answer. After SpaceError: once more, when
        some output was sent."""
        later = self._later or []
        self._later = None
        try:
            while later:
                later[0][1]()
                del later[0]
        finally:
            if later:
                self._later = later
        self._silence()

    def _fail(self) -> None:
        """The coroutine has failed: forgets its answers, and notes what can do no harm."""
        self._later = [(True, lambda: self.reply(self.FAILURE))]

    def _silence(self) -> None:
        """The iterator goes on without an answer: the safe one is given, as behind a handler."""
        if self._settled:
            return
        try:
            if self.SILENCE:
                self.reply(self.SILENCE)
            else:
                self.accept()
        except TicketError:  # cancelled meanwhile
            pass


def _well_formed(code: int, enhanced: EnhancedLike, text: Text) -> None:
    """Raises here and now for what could not be answered later."""
    from ._grammar import format_reply_line

    if not 200 <= code <= 599:
        raise CodeError()
    words = enhanced_in(enhanced)
    format_reply_line(code, text, words.decode() if enhanced else None, flags=Parse.UTF8)
