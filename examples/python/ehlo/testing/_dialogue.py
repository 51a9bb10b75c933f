"""What was said, for those who read why a test failed."""

from __future__ import annotations

import threading
from collections import deque

_LINES = 2000
_WIDTH = 500


class Entry:
    """A line of it, which may still change."""

    __slots__ = ("number", "who", "text")

    def __init__(self, number: int, who: str, text: str) -> None:
        self.number = number
        self.who = who
        self.text = text


class Dialogue:
    """The last lines of all connections of a server, in the order in which they were said."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_LINES)
        self._total = 0
        self._lock = threading.Lock()

    def note(self, number: int, who: str, text: bytes | str) -> Entry:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "backslashreplace")
        # A peer does not get to write on a terminal.
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.rstrip("\r\n"))
        entry = Entry(number, who, text if len(text) <= _WIDTH else text[:_WIDTH] + "...")
        with self._lock:
            self._entries.append(entry)
            self._total += 1
        return entry

    def __str__(self) -> str:
        with self._lock:
            entries, lost = list(self._entries), self._total - len(self._entries)
        lines = [f"({lost} lines before)"] if lost else []
        return "".join(line + "\n" for line in [*lines, *(f"{each.number} {each.who} {each.text}" for each in entries)])
