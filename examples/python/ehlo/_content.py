"""Dot-stuffing, both ways, streaming (RFC 5321 4.5.2)."""

from __future__ import annotations

from typing import Any

from ._binding import Octets, ffi, lib, octets_of
from .enums import DotFlag
from .errors import BareNewlineError, GrammarError, check

_SPANS = 64


class _Codec:
    def __init__(self, flags: DotFlag = DotFlag(0)) -> None:
        self._dot = ffi.new("ehlo_dot *")
        lib.ehlo_dot_init(self._dot, int(flags))
        self._spans = ffi.new("ehlo_span[]", _SPANS)
        self._count = ffi.new("size_t *")
        self._consumed = ffi.new("size_t *")

    def _step(self, function: Any, pointer: Any, size: int, into: bytearray) -> tuple[int, int]:
        """Takes a part of what is at `pointer`. Tells the result, and how much it was."""
        code = function(self._dot, pointer, size, self._consumed, self._spans, _SPANS, self._count)
        for span in self._spans[0 : self._count[0]]:
            into += ffi.buffer(span.ptr, span.len)
        return code, self._consumed[0]


class DotEncoder(_Codec):
    """Stuffs dots into a stream of content, whatever its cuts.

    `encode` returns what goes on the wire; it raises BareNewlineError for a CR or LF that is not part of a CRLF, unless
    the flags allow it, and the stream is then at its end. `end` returns what completes the content."""

    def encode(self, data: Octets) -> bytes:
        out = bytearray()
        with ffi.from_buffer("char[]", data) as pointer:
            size, at = len(pointer), 0
            while True:
                code, taken = self._step(lib.ehlo_dot_encode, pointer + at, size - at, out)
                check(code)
                at += taken
                if at == size:
                    return bytes(out)

    def end(self) -> bytes:
        """The CRLF that the last line may lack, and the final dot."""
        check(lib.ehlo_dot_encode_end(self._dot, self._spans, self._count))
        return b"".join([octets_of(span) for span in self._spans[0 : self._count[0]]])


class DotDecoder(_Codec):
    """Takes the dots out of a stream of content, and finds its end.

    `decode` returns content; `ended` tells whether the end has been met, and `rest` what was behind it. At a bare CR or
    LF it raises BareNewlineError, unless the flags allow it; the exception's `content` is what came before it. Feed the
    decoder `rest` to go on, with bare newlines allowed, so that the true end is found."""

    def __init__(self, flags: DotFlag = DotFlag(0)) -> None:
        super().__init__(flags)
        self.ended = False
        self.rest = b""

    def decode(self, data: Octets) -> bytes:
        out = bytearray()
        self.rest = b""
        with ffi.from_buffer("char[]", data) as pointer:
            size, at = len(pointer), 0
            while True:
                code, taken = self._step(lib.ehlo_dot_decode, pointer + at, size - at, out)
                at += taken
                if code == lib.EHLO_DOT_END:
                    self.ended = True
                if code != lib.EHLO_DOT_MORE and at < size:
                    self.rest = ffi.unpack(pointer + at, size - at)
                if code == lib.EHLO_ERR_BARE_NEWLINE:
                    error = BareNewlineError()
                    error.content = bytes(out)
                    raise error
                check(code)
                if self.ended or at == size:
                    return bytes(out)


def dot_stuff(content: Octets, flags: DotFlag = DotFlag(0)) -> bytes:
    """A whole message as it goes on the wire, final dot included."""
    encoder = DotEncoder(flags)
    return encoder.encode(content) + encoder.end()


def dot_unstuff(wire: Octets, flags: DotFlag = DotFlag(0)) -> bytes:
    """The other way. GrammarError if the end is missing, or something follows it."""
    decoder = DotDecoder(flags)
    content = decoder.decode(wire)
    if not decoder.ended or decoder.rest:
        raise GrammarError()
    return content
