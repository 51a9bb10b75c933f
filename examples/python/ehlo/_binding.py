"""Where the package meets libehlo: `ffi` and `lib`, the two callbacks, and spans.

API mode is the rule: the extension ehlo._ehlo holds or links the library. Where there is none, or where the
environment has EHLO_PYTHON_ABI=1, libehlo.so is loaded (EHLO_LIBRARY names it, or the loader finds it), with the same
declarations, from the header as it was at build time.
"""

from __future__ import annotations

import importlib
import os
import pathlib
from typing import Any, Callable

from ._header import USER, read

Text = str | bytes
Octets = bytes | bytearray | memoryview

ffi: Any
lib: Any
server_callback: Any
client_callback: Any
server_turn: Any
client_turn: Any

# An exception that came from neither handler nor dispatch, but between C and them: Ctrl-C has no better manners. The
# next call that returns from C raises it.
stray: list[BaseException] = []

_INCLUDES = ("/usr/local/include", "/usr/include")

# Failing is the answer that can do no harm.
_FAIL = 1


def _on_event(handle: Any, event: Any) -> int:
    session = ffi.from_handle(handle)()
    return _FAIL if session is None else session._dispatch(event)  # type: ignore[no-any-return]


def _on_error(_kind: Any, exception: Any, _traceback: Any) -> int:
    stray.append(exception)
    return _FAIL


def _declarations() -> str:
    package = pathlib.Path(__file__).resolve().parent
    if (package / "_ehlo.h").exists():
        return (package / "_ehlo.h").read_text("utf-8")
    # Not installed: the checkout that this is in, or a header that is.
    for include in (*[parent / "include" for parent in package.parents[:3]], *map(pathlib.Path, _INCLUDES)):
        if (include / "ehlo.h").exists():
            return read(include)
    raise ImportError("ehlo: no extension was built, and there is no ehlo.h")


def _load_abi() -> None:
    global ffi, lib, server_callback, client_callback, server_turn, client_turn
    cffi: Any = importlib.import_module("cffi")  # whose types Debian does not have
    ffi = cffi.FFI()
    ffi.cdef(_declarations() + USER)
    name = os.environ.get("EHLO_LIBRARY", "libehlo.so.0")
    try:
        lib = ffi.dlopen(name)
    except OSError as error:
        raise ImportError(f"ehlo: no extension was built, and {name} cannot be loaded: {error}") from None

    def filtered(_callee: Any, event: Any, user: Any) -> int:
        python = ffi.cast("ehlo_python *", user)
        return _on_event(python.handle, event) if python.wanted >> event.type & 1 else 0

    make: Callable[..., Any] = ffi.callback
    server_callback = make("ehlo_server_event_fn", filtered, error=_FAIL, onerror=_on_error)
    client_callback = make("ehlo_client_event_fn", filtered, error=_FAIL, onerror=_on_error)
    server_turn, client_turn = _turning("server"), _turning("client")


def _turning(side: str) -> Callable[..., int]:
    """What the extension has in C."""
    feed, output, sent, want, timeout = (
        getattr(lib, f"ehlo_{side}_{name}") for name in ("feed", "output", "sent", "want", "timeout")
    )

    def turn(session: Any, data: Any, size: int, turn: Any) -> int:
        number = ffi.new("size_t *")
        code: int = 0 if data == ffi.NULL else feed(session, data, size, number)
        turn.consumed = number[0]
        octets = output(session, number)
        turn.size = size = min(number[0], ffi.sizeof(turn.output))
        if size:
            ffi.memmove(turn.output, octets, size)
            sent(session, size)
        turn.want = want(session)
        epoch = ffi.new("uint64_t *")
        turn.timeout = timeout(session, epoch)
        turn.epoch = epoch[0]
        return code

    return turn


def _load_api() -> None:
    global ffi, lib, server_callback, client_callback, server_turn, client_turn
    from . import _ehlo

    ffi, lib = _ehlo.ffi, _ehlo.lib
    for name in ("ehlo_python_on_server", "ehlo_python_on_client"):
        ffi.def_extern(name=name, error=_FAIL, onerror=_on_error)(_on_event)
    server_callback = ffi.addressof(lib, "ehlo_python_server")
    client_callback = ffi.addressof(lib, "ehlo_python_client")
    server_turn, client_turn = lib.ehlo_python_server_turn, lib.ehlo_python_client_turn


def _load() -> str:
    if os.environ.get("EHLO_PYTHON_ABI") != "1":
        try:
            _load_api()
            return "API"
        except ImportError:
            pass
    _load_abi()
    return "ABI"


mode = _load()

version: str = ffi.string(lib.ehlo_version()).decode()
if [int(part) for part in version.split(".")][:2] != [lib.EHLO_VERSION_MAJOR, lib.EHLO_VERSION_MINOR]:
    raise ImportError(f"ehlo: libehlo is {version}, this is for {lib.EHLO_VERSION_MAJOR}.{lib.EHLO_VERSION_MINOR}")


# ---- texts and spans ----

# What is no UTF-8 survives the way through str and back.
ERRORS = "surrogateescape"


def encode(text: Text) -> bytes:
    return text.encode("utf-8", ERRORS) if isinstance(text, str) else bytes(text)


def decode(octets: bytes) -> str:
    return octets.decode("utf-8", ERRORS)


def octets_of(span: Any) -> bytes:
    """A copy of what a span shows."""
    length = span.len
    return ffi.unpack(span.ptr, length) if length else b""  # type: ignore[no-any-return]


def text_of(span: Any) -> str:
    length = span.len
    return str(ffi.unpack(span.ptr, length), "utf-8", ERRORS) if length else ""


class Spans:
    """Spans for one call: what they point to is kept as long as this is."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def set(self, span: Any, text: Text) -> None:
        octets = encode(text)
        buffer = ffi.from_buffer("char[]", octets)
        self._kept.append(buffer)
        span.ptr, span.len = buffer, len(octets)

    def new(self, text: Text) -> Any:
        span = ffi.new("ehlo_span *")
        self._kept.append(span)
        self.set(span, text)
        return span[0]


def fixed(pointer: Any) -> str:
    """A static text of the library's."""
    return ffi.string(pointer).decode()  # type: ignore[no-any-return]
