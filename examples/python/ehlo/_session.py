"""What both machines share: the block, who may use it now, how events reach a handler or the iterator.

A session is two objects. The core holds the block and is what events refer to, so that they can be answered; the
session that the program sees holds the core, the handler, and what feed could not take yet. Nothing points from the core
to the session but a weak reference: a session that is let go of is freed at once, with all it holds.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from typing import Any, Callable, Generic, Iterator, TypeVar

from . import _binding
from ._binding import Octets, ffi, lib, stray
from .enums import WANTS, Want
from .errors import ArgumentError, HandlerError, InUseError, ReentrantError, Reject, StateError, error_of

log = logging.getLogger("ehlo")

_ALIGNMENT = 16
_new_block = ffi.new_allocator(should_clear_after_alloc=False)
_get_ident = threading.get_ident
_HANDLED: int = lib.EHLO_HANDLED
_FAIL: int = lib.EHLO_FAIL_TRANSACTION


class ReceiveBuffer:
    """Room for octets that arrive, for `recv_into` and asyncio's BufferedProtocol: read into `view`, then call
    `session.received(buffer, count)`. What the session cannot take at once it copies, so one buffer serves all
    sessions of a thread, one after the other."""

    __slots__ = ("view", "_data", "_pointer", "_turn", "_output")

    def __init__(self, size: int = 65536) -> None:
        self._data = bytearray(size)
        self.view = memoryview(self._data)
        self._pointer = ffi.from_buffer("char[]", self._data)
        self._turn = ffi.new("ehlo_python_turn *")
        self._output = self._turn.output


class Core:
    """A block, and the right to use it: one thread at a time."""

    __slots__ = ("pointer", "size", "_memory", "_lock", "_owner", "owner_session", "input", "waker")

    def __init__(self, size: int) -> None:
        self.size = size
        self.pointer: Any = None
        self._memory: Any = None
        self._lock = threading.Lock()
        self._owner = 0
        self.owner_session: Callable[[], Any] = lambda: None
        # What is being fed: pieces of content are shown as parts of it.
        self.input: Octets | None = None
        # Told of each answer to what was deferred.
        self.waker: Callable[[], None] | None = None

    def block(self, size: int) -> Any:
        """Memory, aligned. It is kept from `settle` on."""
        memory = _new_block("char[]", size + _ALIGNMENT)
        return memory, memory + -int(ffi.cast("uintptr_t", memory)) % _ALIGNMENT

    def settle(self, memory: Any, pointer: Any) -> None:
        self._memory, self.pointer = memory, pointer

    def enter(self) -> bool:
        """Begins a use. False if this thread is in one: a handler's, in which all is allowed that calls nobody back."""
        if self._lock.acquire(False):
            self._owner = _get_ident()
            return True
        if self._owner == _get_ident():
            return False
        raise InUseError("the session is in use by another thread")

    def enter_alone(self) -> None:
        """Begins a use that may call back."""
        if not self.enter():
            raise ReentrantError()

    def leave(self) -> None:
        self._owner = 0
        self._lock.release()

    def get(self, function: Any, *arguments: Any) -> Any:
        outer = self.enter()
        try:
            return function(self.pointer, *arguments)
        finally:
            if outer:
                self.leave()

    def do(self, function: Any, *arguments: Any) -> None:
        code = self.get(function, *arguments)
        if code < 0:
            raise error_of(code)

    def span(self, function: Any, *arguments: Any) -> bytes:
        """What a getter shows, copied while nobody else can change it."""
        outer = self.enter()
        try:
            return _binding.octets_of(function(self.pointer, *arguments))
        finally:
            if outer:
                self.leave()


Event = TypeVar("Event")


class Session(Generic[Event]):
    """Base of Server and Client."""

    __slots__ = (
        "_core",
        "_handler",
        "_methods",
        "_direct",
        "_queue",
        "_held",
        "_ended",
        "_user",
        "_handle",
        "_raised",
        "_consumed",
        "_count",
        "_epoch",
        "error",
        "__weakref__",
    )

    # Set by the subclasses: functions of the library, builders and names of methods by event type.
    _feed: Any
    _output: Any
    _sent: Any
    _take_turn: Any
    _want: Any
    _timeout: Any
    _eof: Any
    _timed_out: Any
    _callback: Any
    _builders: list[Any]
    # For hosts of the package's own: by event type what gets the library's event itself, and keeps nothing of it.
    _direct: dict[int, Callable[[Any], None]]
    _names: dict[int, str]
    _base: type[Any]

    def __init__(self, size: int, handler: object | None) -> None:
        self._core = core = Core(size)
        core.owner_session = weakref.ref(self)
        self._handle = ffi.new_handle(core.owner_session)
        self._user = ffi.new("ehlo_python *")
        self._user.handle = self._handle
        self._consumed = ffi.new("size_t *")
        self._count = ffi.new("size_t *")  # for calls that a handler may make while feed is on its way
        self._epoch = ffi.new("uint64_t *")
        self._held = bytearray()
        self._ended = False  # eof was told, and waits until what is held has been fed
        self._queue: deque[Event] = deque()
        self._raised: BaseException | None = None
        #: What the handler raised last, or None. Set it to None when it has been dealt with.
        self.error: Exception | None = None
        self.handler = handler

    @property
    def handler(self) -> object | None:
        """The object whose methods get the events, or None: then `next_event` and `events` give them."""
        return self._handler

    @handler.setter
    def handler(self, handler: object | None) -> None:
        self._handler = handler
        methods: list[Any] = [None] * len(self._builders)
        wanted = 0
        for number, name in self._names.items():
            if handler is None:
                wanted |= 1 << number
                continue
            method = getattr(handler, name, None)
            if method is not None and getattr(method, "__func__", None) is not getattr(self._base, name):
                methods[number] = method
                wanted |= 1 << number
        self._methods = methods
        self._direct = {}
        self._user.wanted = wanted

    # ---- from C ----

    def _dispatch(self, event: Any) -> int:
        number = event.type
        made = None
        try:
            if (direct := self._direct.get(number)) is not None:
                direct(event)
                return _HANDLED
            if number >= len(self._builders) or (build := self._builders[number]) is None:
                return _HANDLED
            method = self._methods[number]
            if method is not None:
                made = build(self._core, event)
                if (result := method(made)) is not None:
                    self._returned(result)
            elif self._handler is None:
                made = build(self._core, event)
                self._keep(made)
                self._queue.append(made)
            return _HANDLED
        except Exception as error:
            return self._failed(error, made, number)
        except BaseException as error:
            if self._raised is None:
                self._raised = error
            else:
                log.error("raised while another exception was on its way", exc_info=error)
            return _FAIL
        finally:
            if made is not None and number in self._expiring:
                made._expire()

    def _tell_error(self, on_error: Callable[..., Any], error: BaseException, event: Event | None) -> None:
        if (result := on_error(error, event)) is not None:
            self._returned(result)

    def _returned(self, result: object) -> None:
        """A method has returned something, which a client does not look at."""

    # The events of which something lives in C until the handler returns.
    _expiring: frozenset[int] = frozenset()

    def _keep(self, event: Event) -> None:
        """Makes an event fit for the queue: it outlives the callback, and can be answered behind it."""

    def _failed(self, error: BaseException, event: Event | None, number: int) -> int:
        """What is to be done about an exception of the handler's. _FAIL: the transaction fails."""
        if isinstance(error, Reject) and error.refuse(event):
            return _HANDLED
        if isinstance(error, Exception):
            self.error = error
        log.error("%s raised", self._names.get(number, "an event"), exc_info=error)
        on_error = getattr(self._handler, "on_error", None)
        if on_error is not None:
            try:
                self._tell_error(on_error, error, event)
            except Exception as second:
                log.error("on_error raised", exc_info=second)
        return _FAIL

    # ---- calls that may call back ----

    def _run(self, function: Any, *arguments: Any) -> None:
        """Calls a function that may call back."""
        core = self._core
        core.enter_alone()
        try:
            self._awake()
            code = function(core.pointer, *arguments)
        finally:
            core.leave()
        self._after(code)

    def _awake(self) -> None:
        pass

    def _after(self, code: int) -> None:
        """Raises what could not be raised through C."""
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised
        if stray:
            raised = stray[0]
            stray.clear()
            raise raised
        if code < 0:
            error = error_of(code)
            if isinstance(error, HandlerError):
                raise error from self.error
            raise error

    def feed(self, data: Octets) -> None:
        """Gives the session octets that arrived: bytes, or anything that has them. All are taken: what cannot be dealt
        with yet, because an answer is awaited or output must be sent first, is kept here, and goes on with the next
        call of `feed`, `advance`, `received` or `events`. It is bounded by the caller: see Want.READ, which is not
        shown while something is kept.

        Raises InUseError, ReentrantError, StateError (before `start`, and after `eof`), HandlerError for clients; and
        what a handler raised that is no Exception, when the session is in a safe state again."""
        core = self._core
        core.enter_alone()
        try:
            held = self._held
            if self._ended and len(data):
                raise StateError("the peer had nothing more to send")
            if held:
                held += data
                code = self._feed_held()
            elif type(data) is bytes:
                code = self._feed_some(data, len(data), data)
            else:
                with memoryview(data) as view, ffi.from_buffer("char[]", view) as pointer:
                    code = self._feed_some(pointer, len(pointer), view)
        finally:
            core.leave()
        if code or stray or self._raised is not None:
            self._after(code)

    def received(self, buffer: ReceiveBuffer, count: int) -> None:
        """As `feed`, with the first `count` octets of a buffer."""
        if not 0 <= count <= len(buffer.view):
            raise ArgumentError()
        core = self._core
        core.enter_alone()
        try:
            held = self._held
            if self._ended and count:
                raise StateError("the peer had nothing more to send")
            if held:
                held += buffer.view[:count]
                code = self._feed_held()
            else:
                code = self._feed_some(buffer._pointer, count, buffer.view)
        finally:
            core.leave()
        if code or stray or self._raised is not None:
            self._after(code)

    def advance(self) -> None:
        """Goes on with what is kept, and after answers that were given outside of a handler: to be called when `want`
        shows FEED. The same as feed(b"")."""
        self.feed(b"")

    def _feed_some(self, pointer: Any, size: int, data: Octets) -> int:
        self._awake()
        core, consumed = self._core, self._consumed
        core.input = data
        consumed[0] = 0
        try:
            code: int = self._feed(core.pointer, pointer, size, consumed)
        finally:
            core.input = None
        taken: int = consumed[0]
        if taken < size and code == 0:
            with memoryview(data) as view, view[taken:size] as rest:
                self._held += rest
        elif self._ended and code == 0:
            self._ended = False
            code = self._eof(core.pointer)
        return code

    def _feed_held(self) -> int:
        data, self._held = self._held, bytearray()
        with ffi.from_buffer("char[]", data) as pointer:
            return self._feed_some(pointer, len(pointer), data)

    def eof(self) -> None:
        """The peer will send no more. What feed has kept is dealt with before."""
        self._run(self._end)

    def _end(self, pointer: Any) -> int:
        if self._held:
            self._ended = True
            return 0
        return self._eof(pointer)  # type: ignore[no-any-return]

    def timed_out(self) -> None:
        """The clock that `timeout` asked for has run out."""
        self._run(self._timed_out)

    # ---- output ----

    def output(self) -> bytes:
        """A copy of the octets to send; b"" if there are none. `sent` tells how many went out."""
        core = self._core
        outer = core.enter()
        try:
            pointer = self._output(core.pointer, self._count)
            size = self._count[0]
            octets: bytes = ffi.buffer(pointer, size)[:] if size else b""
            return octets
        finally:
            if outer:
                core.leave()

    def sent(self, count: int) -> None:
        """`count` octets of the output have been handed to the peer. For a client: before the answer to them is fed."""
        if count < 0:
            raise ArgumentError()
        self._core.get(self._sent, count)

    def take_output(self) -> bytes:
        """`output` and `sent` in one, for transports that take everything."""
        core = self._core
        outer = core.enter()
        try:
            pointer = self._output(core.pointer, self._count)
            size = self._count[0]
            if not size:
                return b""
            octets: bytes = ffi.buffer(pointer, size)[:]
            self._sent(core.pointer, size)
            return octets
        finally:
            if outer:
                core.leave()

    def _turn(self, buffer: ReceiveBuffer) -> bytes:
        """`take_output`, up to a size. What `want` and `timeout` tell behind it stands in the buffer's `_turn`."""
        core = self._core
        outer = core.enter()
        try:
            self._take_turn(core.pointer, ffi.NULL, 0, buffer._turn)
        finally:
            if outer:
                core.leave()
        size = buffer._turn.size
        return ffi.unpack(buffer._output, size) if size else b""  # type: ignore[no-any-return]

    def _receive(self, buffer: ReceiveBuffer, count: int) -> tuple[bytes, int]:
        """`received` and `_turn` in one, while nothing is kept: the output, and a code for `_after`, which is to be
        called if that is not 0 or something is to be raised."""
        core, turn = self._core, buffer._turn
        core.enter_alone()
        try:
            self._awake()
            core.input = buffer.view
            code: int = self._take_turn(core.pointer, buffer._pointer, count, turn)
            taken: int = turn.consumed
            if taken < count and code == 0:
                self._held += buffer.view[taken:count]
        finally:
            core.input = None
            core.leave()
        size = turn.size
        return (ffi.unpack(buffer._output, size) if size else b""), code

    @property
    def want(self) -> Want:
        """What the session is waiting for."""
        return WANTS[self._core.get(self._want)]

    def timeout(self) -> tuple[int, int]:
        """How many seconds the peer may be silent now, 0 for as long as it likes, and an epoch: a number that changes
        whenever the clock is to start anew."""
        epoch = self._epoch
        seconds = self._core.get(self._timeout, epoch)
        return seconds, epoch[0]

    # ---- events ----

    def next_event(self) -> Event | None:
        """The next event, or None if there is none now. Only without a handler."""
        if self._handler is not None:
            raise StateError("the events go to the handler")
        queue = self._queue
        while not queue:
            if not self._core.get(self._want) & lib.EHLO_WANT_FEED:
                return None
            self.advance()
        return queue.popleft()

    def events(self) -> Iterator[Event]:
        """All events that there are now, and those that follow from what is answered meanwhile."""
        while (event := self.next_event()) is not None:
            yield event
