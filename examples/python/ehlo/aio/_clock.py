"""The clock of a session: one timer a connection, looked at when it runs out, not moved with every event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .._binding import ffi


class Clock:
    """Calls `on_timeout` once the session's timeout has passed without a change of its epoch."""

    __slots__ = ("_loop", "_get", "_pointer", "_on_timeout", "_epoch", "_known", "_since", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, session: Any, function: Any, on_timeout: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._get = session._core.get
        self._pointer = function
        self._on_timeout = on_timeout
        self._epoch = ffi.new("uint64_t *")
        self._known = -1
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def check(self) -> None:
        """Something has happened."""
        seconds = self._get(self._pointer, self._epoch)
        epoch = self._epoch[0]
        if epoch != self._known:
            self._known = epoch
            self._since = self._loop.time()
        if seconds:
            timer = self._timer
            if timer is None:
                self._timer = self._loop.call_at(self._since + seconds, self._tick)
            elif timer.when() > self._since + seconds:
                timer.cancel()
                self._timer = self._loop.call_at(self._since + seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        seconds = self._get(self._pointer, self._epoch)
        if not seconds:
            return
        if self._epoch[0] == self._known and self._loop.time() >= self._since + seconds:
            self._on_timeout()
        else:
            self.check()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
