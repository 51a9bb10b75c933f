"""How the methods of a handler are called: plain ones at once, async ones as tasks, and `deliver` behind them all."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import io
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from .._binding import ffi, lib
from .._questions import Event, Question
from .._server import Server, ServerHandler
from ..enums import ServerEventType
from ..errors import HostError, SpaceError, StateError, check
from ..events import CancelEvent, MailEvent, MailWords, MessageEvent, RcptEvent, ResultEvent, StartTlsEvent
from ._envelope import Envelope, TakenMail, TakenRcpt

log = logging.getLogger("ehlo")

Method = Callable[[Any], Any]

_NUMBERS = {name: number for number, name in Server._names.items()}
_FAIL: int = lib.EHLO_FAIL_TRANSACTION
# One buffer that grows is copied again and again; many that are small cost more than what is in them.
_PART = 65536
# What `deliver` does itself.
_TAKEN = ("on_body", "on_message", "on_result")


class Plan:
    """What a handler's methods are, found out once."""

    __slots__ = ("handler", "plain", "later", "deliver", "deliver_later")

    def __init__(self, handler: object) -> None:
        self.handler = handler
        self.plain: dict[int, Method] = {}
        self.later: dict[int, Method] = {}  # coroutine functions
        for number, name in Server._names.items():
            method = getattr(handler, name, None)
            if method is None or getattr(method, "__func__", None) is getattr(ServerHandler, name):
                continue
            (self.later if inspect.iscoroutinefunction(method) else self.plain)[number] = method
        self.deliver: Method | None = getattr(handler, "deliver", None)
        self.deliver_later = inspect.iscoroutinefunction(self.deliver)
        if self.deliver is not None:
            both = [name for name in _TAKEN if _NUMBERS[name] in {**self.plain, **self.later}]
            if both:
                raise TypeError(f"a handler with deliver has no {' and no '.join(both)}")
        elif not self.plain and not self.later:
            raise TypeError(f"{type(handler).__name__} has nothing that a handler has: on_rcpt, on_message, deliver ...")

    @property
    def parallel(self) -> bool:
        """Is there something to be gained by several questions at once?"""
        return bool(self.later) or self.deliver_later


def is_handler(handler: object) -> bool:
    """Or else a factory of them?"""
    if isinstance(handler, type):
        return False
    return not callable(handler) or hasattr(handler, "deliver") or any(hasattr(handler, name) for name in _NUMBERS)


class Calls:
    """The calls of one session."""

    __slots__ = ("session", "loop", "tasks", "telling", "unsaid", "_pump", "_context")

    def __init__(
        self,
        session: Server,
        plan: Plan,
        loop: asyncio.AbstractEventLoop,
        starttls: bool,
        pump: Callable[[], None],
        telling: set[asyncio.Task[Any]],
    ) -> None:
        self._pump = pump
        self._context = contextvars.copy_context()  # what a task sets in its own is not for the next event
        self.session = session
        self.loop = loop
        self.tasks: dict[int, asyncio.Task[Any]] = {}
        self.telling = telling  # the server's: they may outlive the connection
        self.unsaid: list[Question] = []  # answers for which there was no room
        methods = dict(plan.plain)
        direct: dict[int, Method] = {}
        for number, method in plan.later.items():
            methods[number] = functools.partial(self.begin, number, method)
        if plan.deliver is not None:
            Delivery(self, plan.deliver, plan.deliver_later, methods, direct)
        if plan.parallel:
            on_cancel = methods.get(_NUMBERS["on_cancel"])
            methods[_NUMBERS["on_cancel"]] = functools.partial(self.cancel, on_cancel)
        if starttls:
            methods.setdefault(_NUMBERS["on_starttls"], StartTlsEvent.accept)
        session._methods = [methods.get(number) for number in range(len(session._builders))]
        session._handler = plan.handler
        session._direct = direct
        session._user.wanted = sum(1 << number for number in {**methods, **direct})

    def begin(self, number: int, method: Method, event: Event) -> None:
        """Calls a coroutine function in a handler's place."""
        if not isinstance(event, Question):
            task = self.loop.create_task(method(event))
            self.telling.add(task)
            task.add_done_callback(functools.partial(self._told, number, event))
            return
        coroutine = method(event)
        event._hold()
        self.tasks[event.ticket] = self.loop.create_task(_Asked(self, number, event, coroutine))

    def cancel(self, on_cancel: Method | None, event: CancelEvent) -> Any:
        task = self.tasks.pop(event.ticket, None)
        if task is not None:
            task.cancel()
        return on_cancel(event) if on_cancel is not None else None

    def _told(self, number: int, event: Event, task: asyncio.Task[Any]) -> None:
        self.telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.session._failed(error, event, number)

    def ended(self, number: int, event: Question, error: BaseException | None) -> None:
        """The coroutine of a question has."""
        if self.tasks.pop(event.ticket, None) is None:  # nobody asks any more
            if isinstance(error, Exception):
                self.session._failed(error, event, number)
            return
        if error is not None and self.session._failed(error, event, number) == _FAIL:
            event._fail()
        self._say(number, event)
        waker = event._core.waker
        if self.tasks:
            if waker is not None:
                waker()  # others may end now, too: their answers go out together
        elif waker is not None:
            self._context.run(self._pump)

    def _say(self, number: int, event: Question) -> None:
        try:
            try:
                event._release()
            except SpaceError:
                self.unsaid.append(event)
            except HostError as error:
                self.session._failed(error, event, number)
                event._fail()
                event._release()
        except HostError as error:  # it cannot be answered at all: nothing may hang on that
            log.error("cannot answer", exc_info=error)
            try:
                self.session.shutdown(421)
            except StateError:
                pass

    def say_more(self) -> None:
        """There may be room now."""
        unsaid, self.unsaid = self.unsaid, []
        for event in unsaid:
            self._say(int(ServerEventType.UNKNOWN), event)

    def stop(self) -> None:
        """The connection is gone, and the session has cancelled what it asked."""
        for task in self.tasks.values():
            task.cancel()
        self.tasks.clear()
        self.unsaid.clear()
        self._pump = _gone


class _Asked(Coroutine[Any, Any, None]):
    """A coroutine that a question waits for. However it ends, if it was ever begun or not, its answer is given in the
    same turn of the loop: a callback of the task would come one later."""

    __slots__ = ("_calls", "_number", "_event", "_coroutine", "__weakref__")

    def __init__(self, calls: Calls, number: int, event: Question, coroutine: Coroutine[Any, Any, None]) -> None:
        self._calls = calls
        self._number = number
        self._event = event
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, value)

    def throw(self, *arguments: Any) -> Any:
        return self._step(self._coroutine.throw, *arguments)

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except StopIteration as stop:
            error = None if stop.value is None else TypeError("a handler's method returns nothing")
            self._calls.ended(self._number, self._event, error)
        except Exception as error:
            self._calls.ended(self._number, self._event, error)
        except BaseException as error:
            self._calls.ended(self._number, self._event, error)
            raise
        raise StopIteration

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()


class Delivery:
    """Collects a message and its envelope for `deliver`."""

    __slots__ = (
        "calls",
        "deliver",
        "later",
        "_core",
        "_on_rcpt",
        "_on_mail",
        "_on_end",
        "mail",
        "rcpts",
        "parts",
        "rest",
        "_verdict",
    )

    def __init__(
        self, calls: Calls, deliver: Method, later: bool, methods: dict[int, Method], direct: dict[int, Method]
    ) -> None:
        self.calls = calls
        self.deliver = deliver
        self.later = later
        self._on_mail = methods.get(_NUMBERS["on_mail"])
        self._on_rcpt = methods.get(_NUMBERS["on_rcpt"])
        self._on_end = methods.get(_NUMBERS["on_end"])
        self._core = calls.session._core
        self.mail: MailWords | None = None
        self.rcpts: list[RcptEvent | TakenRcpt] = []
        # The content: octets in parts, and what is to become the next of them.
        self.parts: list[bytes] = []
        self.rest = io.BytesIO()
        # In LMTP all recipients share it: a task, or once known None or what was raised.
        self._verdict: list[Any] = []
        numbers = {name: _NUMBERS[f"on_{name}"] for name in ("mail", "rcpt", "body", "message", "result", "end")}
        for name, number in numbers.items():
            methods[number] = getattr(self, f"_{name}")
        # What nobody else is shown needs no event made of it.
        direct[numbers["body"]] = self._body
        if self._on_mail is None:
            direct[numbers["mail"]] = self._take_mail
        if self._on_rcpt is None:
            direct[numbers["rcpt"]] = self._take_rcpt
        if self._on_end is None:
            direct[numbers["end"]] = self._end
        if later:
            for name in ("message", "result"):
                methods[numbers[name]] = functools.partial(calls.begin, numbers[name], getattr(self, f"_{name}_later"))

    # What the handler's own methods return is passed on: see `Server._returned`.

    def _mail(self, event: MailEvent) -> Any:
        self.mail = event
        return self._on_mail(event) if self._on_mail is not None else None

    def _rcpt(self, event: RcptEvent) -> Any:
        result = None
        if self._on_rcpt is not None:
            result = self._on_rcpt(event)
        else:
            event.accept()
        self.rcpts.append(event)
        return result

    def _take_mail(self, event: Any) -> None:
        self.mail = TakenMail(getattr(event, "as").mail)

    def _take_rcpt(self, event: Any) -> None:
        check(lib.ehlo_server_accept(self._core.pointer, event.ticket))
        self.rcpts.append(TakenRcpt(getattr(event, "as").rcpt))

    def _body(self, event: Any) -> None:
        body, rest = getattr(event, "as").body, self.rest
        for span in body.spans[0 : body.count]:
            rest.write(ffi.buffer(span.ptr, span.len))
        if rest.tell() >= _PART:
            self.parts.append(rest.getvalue())
            self.rest = io.BytesIO()

    def _content(self) -> bytes:
        """What has been collected, which is forgotten here."""
        parts, rest = self.parts, self.rest
        if parts or rest.tell():
            self.parts, self.rest = [], io.BytesIO()
        if not parts:
            return rest.getvalue()  # without a copy
        parts.append(rest.getvalue())
        return b"".join(parts)

    def _end(self, event: Any) -> Any:
        self.mail = None
        self.rcpts = []
        if self.parts or self.rest.tell():
            self.parts, self.rest = [], io.BytesIO()
        self._verdict = []
        return self._on_end(event) if self._on_end is not None else None

    def _envelope(self) -> Envelope:
        assert self.mail is not None
        rcpts = [rcpt for rcpt in self.rcpts if isinstance(rcpt, TakenRcpt) or rcpt._code // 100 == 2]
        return Envelope(self.calls.session, self.mail, rcpts, self._content())

    def _message(self, event: MessageEvent) -> None:
        _nothing(self.deliver(self._envelope()))
        event.accept()

    def _result(self, event: ResultEvent) -> None:
        if not self._verdict:
            try:
                _nothing(self.deliver(self._envelope()))
                self._verdict = [None]
            except Exception as error:
                self._verdict = [error]
        if self._verdict[0] is not None:
            raise self._verdict[0]
        event.accept()

    # Of a transaction that has ended nothing is touched here: `_end` comes before another begins.

    def _message_later(self, event: MessageEvent) -> Any:
        return self._judge(event, self._envelope())

    async def _judge(self, event: MessageEvent, envelope: Envelope) -> None:
        _nothing(await self.deliver(envelope))
        event.accept()

    def _result_later(self, event: ResultEvent) -> Any:
        if not self._verdict:
            self._verdict = [self.calls.loop.create_task(self._run(self._envelope()))]
        return self._share(event, self._verdict[0])

    async def _run(self, envelope: Envelope) -> None:
        _nothing(await self.deliver(envelope))

    async def _share(self, event: ResultEvent, verdict: asyncio.Task[None]) -> None:
        await verdict
        event.accept()


def _gone() -> None:
    """In place of a method of the connection's, which would keep it alive."""


def _nothing(result: object) -> None:
    """Who returns "550 No" believes to have refused the message: it is not accepted, then."""
    if result is not None:
        raise TypeError("deliver returns None, or raises Reject")
