"""The exceptions of the package.

`Error` is the root. Below it, `HostError` and its classes say what this program did wrong, one class for each
EHLO_ERR_ number of the library; an error changes nothing, unless its class says so. What the peer did wrong is
never among them: it is told in replies and events, and as `ProtocolViolation` where somebody wants to raise it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._binding import fixed, lib


if TYPE_CHECKING:
    from ._grammar import Reply


class Error(Exception):
    """The root of all."""


class HostError(Error):
    """The program's own mistake, or something that is not possible now. `code` is the EHLO_ERR_ number, or 0."""

    code: int = 0

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (fixed(lib.ehlo_strerror(self.code)) if self.code else ""))


class ArgumentError(HostError, ValueError):
    """A value that is out of its range."""

    code = lib.EHLO_ERR_ARGUMENT


class ConfigError(HostError, ValueError):
    """The config contradicts itself, or a limit in it is illegal."""

    code = lib.EHLO_ERR_CONFIG


class BlockError(HostError):
    """The memory of a session is too small or not aligned."""

    code = lib.EHLO_ERR_MEMORY


class VersionError(HostError):
    """A saved session was made by another version, or on another kind of machine."""

    code = lib.EHLO_ERR_VERSION


class StateError(HostError):
    """Not possible in this state of the session."""

    code = lib.EHLO_ERR_STATE


class InUseError(HostError):
    """The session is in use: by another thread just now. Nothing was done."""


class ReentrantError(InUseError):
    """Called from inside of a handler, where this call is not allowed."""

    code = lib.EHLO_ERR_REENTRANT


class TicketError(HostError):
    """An answer to what has been answered already, was cancelled, or asked nothing."""

    code = lib.EHLO_ERR_TICKET


class CodeError(HostError, ValueError):
    """A reply code or enhanced code that may not answer what was asked."""

    code = lib.EHLO_ERR_CODE


class TextError(HostError, ValueError):
    """Text with CR, LF, NUL or another octet that may not stand there."""

    code = lib.EHLO_ERR_TEXT


class SpaceError(HostError):
    """No room in the output now: send some and try again."""

    code = lib.EHLO_ERR_SPACE


class GrammarError(HostError, ValueError):
    """The input is not of the grammar asked for."""

    code = lib.EHLO_ERR_SYNTAX


class TooLongError(HostError, ValueError):
    """Longer than the protocol or the config allows."""

    code = lib.EHLO_ERR_TOO_LONG


class BufferTooSmallError(HostError):
    """The caller's buffer is too small."""

    code = lib.EHLO_ERR_BUFFER


class BareNewlineError(HostError, ValueError):
    """Content with a CR or LF that is not part of a CRLF. Of a client's message all body calls now say so.
    `content` is, from DotDecoder, what came before it."""

    code = lib.EHLO_ERR_BARE_NEWLINE
    content: bytes = b""


class HandlerError(HostError):
    """Fatal: a client's event handler raised, which ended the session for good. `__cause__` is what it raised."""

    code = lib.EHLO_ERR_HOST


class NotOfferedError(HostError):
    """A verb or parameter that the server has not offered."""

    code = lib.EHLO_ERR_NOT_OFFERED


class EightBitMimeError(HostError):
    """Octets above 127, or BODY=8BITMIME, where 8BITMIME was not agreed on."""

    code = lib.EHLO_ERR_8BITMIME


class SmtpUtf8Error(HostError):
    """UTF-8 in an address, or SMTPUTF8, where SMTPUTF8 was not agreed on."""

    code = lib.EHLO_ERR_SMTPUTF8


class SizeError(HostError):
    """The message is larger than the server says it takes."""

    code = lib.EHLO_ERR_SIZE


class RefusedError(HostError):
    """The transaction has failed already: nothing more can be added to it."""

    code = lib.EHLO_ERR_REFUSED


class TlsRequiredError(HostError):
    """Not without TLS: a password in clear, REQUIRETLS."""

    code = lib.EHLO_ERR_TLS


class LimitError(HostError):
    """More than the server says it takes (LIMITS)."""

    code = lib.EHLO_ERR_LIMIT


class ExpiredError(HostError):
    """What lived until the handler returned was used later: the pieces of a body."""


class ProtocolViolation(Error):
    """The peer broke the protocol. `kind` is a `Violation`, `octets` what was wrong, raw."""

    def __init__(self, kind: int, octets: bytes = b"") -> None:
        super().__init__(fixed(lib.ehlo_violation_name(kind)))
        self.kind = kind
        self.octets = octets


class Reject(Error):
    """To be raised in a handler of a Server: refuses what the event asks, as `event.reject` does."""

    def __init__(self, code: int = 550, enhanced: Any = None, text: str = "") -> None:
        super().__init__(code, enhanced, text)
        self.code = code
        self.enhanced = enhanced
        self.text = text

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)

    def refuse(self, event: Any) -> bool:
        """Refuses it. False if it does not ask, was answered already, or cannot be refused so."""
        try:
            event.reject(self.code, self.enhanced, self.text)
        except AttributeError:
            return False
        except HostError as why:
            self.add_note(f"which cannot be said: {why}")
            return False
        return True


# ---- what ehlo.aio's client raises ----


class SendError(Error):
    """A message was not sent, or a connection for it not made. `reply` is what the server said, or None."""

    def __init__(self, message: str, reply: Reply | None = None) -> None:
        super().__init__(f"{message}: {_shown(reply)}" if reply is not None else message)
        self.reply = reply

    @property
    def temporary(self) -> bool:
        """May it succeed if it is tried again unchanged?"""
        return self.reply is None or self.reply.code // 100 != 5


class ConnectError(SendError):
    """There is no connection, or the server wants no session. `__cause__` may be an OSError."""


class TLSError(SendError):
    """No TLS where it is required, or its handshake failed. `__cause__` may be an ssl.SSLError."""


class AuthenticationError(SendError):
    """Not logged in."""


class UnsupportedError(SendError):
    """The message needs what the server does not offer, or may not leave as it is. Nothing of it was sent. `__cause__`
    may be a HostError that says more."""

    @property
    def temporary(self) -> bool:
        return False


class SenderRefused(SendError):
    """The reply to MAIL is a refusal."""


class RecipientsRefused(SendError):
    """No recipient was accepted. `replies` tells for each; `reply` is the last."""

    def __init__(self, message: str, replies: dict[str, Reply]) -> None:
        super().__init__(message, list(replies.values())[-1] if replies else None)
        self.replies = replies

    @property
    def temporary(self) -> bool:
        return any(reply.code // 100 != 5 for reply in self.replies.values())


class MessageRefused(SendError):
    """The message is refused, for all recipients. `replies`: of LMTP, for each."""

    def __init__(self, message: str, reply: Reply | None, replies: dict[str, Reply]) -> None:
        super().__init__(message, reply)
        self.replies = replies


class ConnectionLost(SendError):
    """The connection ended, or is of no use any more. `in_doubt`: the whole message had been sent, and the server may
    have taken it. `__cause__` may be a ProtocolViolation."""

    def __init__(self, message: str, reply: Reply | None = None, in_doubt: bool = False) -> None:
        super().__init__(message, reply)
        self.in_doubt = in_doubt

    @property
    def temporary(self) -> bool:
        return True


def _shown(reply: Reply) -> str:
    return " ".join(str(part) for part in (reply.code, reply.enhanced, ascii(reply.text)[1:-1]) if part)


_BY_CODE: dict[int, type[HostError]] = {}


def _collect(base: type[HostError]) -> None:
    for kind in base.__subclasses__():
        if "code" in vars(kind):
            _BY_CODE[kind.code] = kind
        _collect(kind)


_collect(HostError)


def error_of(code: int) -> HostError:
    """The exception for an EHLO_ERR_ number."""
    kind = _BY_CODE.get(code)
    if kind is not None:
        return kind()
    error = HostError(fixed(lib.ehlo_strerror(code)))
    error.code = code
    return error


def check(code: int) -> None:
    if code < 0:
        raise error_of(code)
