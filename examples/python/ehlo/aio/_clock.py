"""The clock of a session: one timer a connection, looked at when it runs out, not moved with every event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .._session import Session


class Clock:
    """Calls `on_timeout` once the session's timeout has passed without a change of its epoch."""

    __slots__ = ("_loop", "_timeout", "_on_timeout", "_epoch", "_since", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, session: Session[Any], on_timeout: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._timeout = session.timeout
        self._on_timeout = on_timeout
        self._epoch = -1
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def check(self) -> None:
        """Something has happened."""
        self.set(*self._timeout())

    def set(self, seconds: int, epoch: int) -> None:
        """The same, by who has asked the session."""
        if epoch != self._epoch:
            self._epoch = epoch
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
        seconds, epoch = self._timeout()
        if seconds and epoch == self._epoch and self._loop.time() >= self._since + seconds:
            self._on_timeout()
        else:
            self.set(seconds, epoch)

    def stop(self) -> None:
        """For good."""
        self._on_timeout = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing() -> None:
    """In place of a method of what is gone, which would keep it alive."""
