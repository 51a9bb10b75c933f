"""What stands in events and goes into commands: paths, domains, codes, parameters, credentials."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._binding import Spans, Text, encode, ffi, lib, octets_of, text_of
from .enums import BodyType, By, DomainKind, Mechanism, Notify, PathKind, Ret, Rrvs
from .errors import check

_ANY = int(lib.EHLO_PARSE_UTF8 | lib.EHLO_PARSE_UNDERSCORE)


class Enhanced(NamedTuple):
    """An enhanced status code (RFC 3463): str() gives "5.1.1"."""

    status_class: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.status_class}.{self.subject}.{self.detail}"


def enhanced_of(code: Any) -> Enhanced | None:
    status_class = code.status_class
    return Enhanced(status_class, code.subject, code.detail) if status_class else None


@dataclass(slots=True, frozen=True)
class Domain:
    """A domain or an address literal. `raw` is how it is spelt, brackets included; `address` the literal's address."""

    raw: bytes
    kind: DomainKind
    utf8: bool
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None

    def __str__(self) -> str:
        return self.raw.decode("utf-8", "surrogateescape")


def domain_of(domain: Any) -> Domain:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    if domain.kind == lib.EHLO_DOMAIN_IPV4:
        address = ipaddress.IPv4Address(bytes(domain.address)[:4])
    elif domain.kind == lib.EHLO_DOMAIN_IPV6:
        address = ipaddress.IPv6Address(bytes(domain.address))
    return Domain(octets_of(domain.raw), DomainKind(domain.kind), bool(domain.utf8), address)


class Path:
    """A reverse-path or forward-path. `raw` is how it arrived, angle brackets included; str() is the mailbox. What it
    is made of is found out when it is asked for."""

    __slots__ = ("raw", "_parts")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._parts: _Parts | None = None

    @property
    def mailbox(self) -> str:
        """What stands between the brackets, behind the route: "user@example.org". Empty for <>."""
        return self._taken().mailbox

    @property
    def local_part(self) -> str:
        """As it is spelt, quotes included; see `ehlo.local_part_decode`."""
        return self._taken().local_part

    @property
    def domain(self) -> Domain:
        return self._taken().domain

    @property
    def route(self) -> str:
        """The source route "@a,@b", which is to be ignored; mostly empty."""
        return self._taken().route

    @property
    def kind(self) -> PathKind:
        return self._taken().kind

    @property
    def quoted(self) -> bool:
        """Is the local-part a quoted string?"""
        return self._taken().quoted

    @property
    def utf8(self) -> bool:
        return self._taken().utf8

    def _taken(self) -> _Parts:
        if self._parts is None:
            self._parts = parts_of(self.raw, _ANY)[0]
        return self._parts

    def __str__(self) -> str:
        return self.mailbox

    def __repr__(self) -> str:
        return f"Path({self.raw!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


@dataclass(slots=True)
class _Parts:
    mailbox: str
    local_part: str
    domain: Domain
    route: str
    kind: PathKind
    quoted: bool
    utf8: bool


def parts_of(raw: bytes, flags: int, bare: bool | None = None) -> tuple[_Parts, int, bytes]:
    """Parses a path, or where it has no bracket a mailbox, at the front of `raw`. Tells how long it is, and how it is
    spelt."""
    path, used = ffi.new("ehlo_path *"), ffi.new("size_t *")
    spans = Spans()
    bare = not raw.startswith(b"<") if bare is None else bare
    check((lib.ehlo_parse_mailbox if bare else lib.ehlo_parse_path)(spans.new(raw), flags, path, used))
    parts = _Parts(
        text_of(path.mailbox),
        text_of(path.local_part),
        domain_of(path.domain),
        text_of(path.route),
        PathKind(path.kind),
        bool(path.quoted),
        bool(path.utf8),
    )
    return parts, used[0], octets_of(path.raw)


@dataclass(slots=True)
class MailParameters:
    """What MAIL can say beside its path. Nothing is said by default. xtext and base64 stay as they are on the wire."""

    size: int | None = None
    body: BodyType = BodyType.NONE
    smtputf8: bool = False
    ret: Ret = Ret.NONE
    envid: Text = ""
    auth: Text = ""
    requiretls: bool = False
    priority: int | None = None
    by_mode: By = By.NONE
    by_time: int = 0
    by_trace: bool = False
    hold_for: int = 0
    hold_until: int | None = None
    solicit: Text = ""
    mtrk: Text = ""
    mtrk_timeout: int | None = None
    submitter: Text = ""
    conperm: bool = False
    transid: Text = ""
    others: Text = ""


@dataclass(slots=True)
class RcptParameters:
    """What RCPT can say beside its path. Nothing is said by default."""

    notify: Notify = Notify.NONE
    orcpt_type: Text = ""
    orcpt_address: Text = ""
    rrvs: Rrvs = Rrvs.NONE
    rrvs_action: bool = False
    rrvs_time: int = 0
    conneg: bool = False
    others: Text = ""


# A field with a None has one beside it in C that says whether it is there.
_HAS = {
    "size": "has_size",
    "priority": "has_priority",
    "hold_until": "has_hold_until",
    "mtrk_timeout": "has_mtrk_timeout",
}
_KINDS: dict[str, Any] = {"body": BodyType, "ret": Ret, "by_mode": By, "notify": Notify, "rrvs": Rrvs}
_BOOLS = {"smtputf8", "requiretls", "by_trace", "conperm", "conneg", "rrvs_action"}


def _parameters_in(struct: Any, values: Any) -> Spans:
    spans = Spans()
    struct.struct_size = ffi.sizeof(struct[0])
    for name in values.__slots__:
        value = getattr(values, name)
        if isinstance(value, (str, bytes)):
            if value:
                spans.set(getattr(struct, name), value)
        elif value is not None:
            try:
                setattr(struct, name, int(value))
            except OverflowError:
                check(lib.EHLO_ERR_ARGUMENT)
            if name in _HAS:
                setattr(struct, _HAS[name], 1)
    return spans


def _parameters_out(struct: Any, values: Any, raw: bytes | None, base: int) -> Any:
    """Reads a struct. Its spans lie where they point to, or with `raw`, which began at `base` when they were made, in
    that."""
    for name in values.__slots__:
        value = getattr(struct, name)
        if name in _HAS:
            value = value if getattr(struct, _HAS[name]) else None
        elif name in _KINDS:
            value = _KINDS[name](value)
        elif name in _BOOLS:
            value = bool(value)
        elif not isinstance(value, int):
            if raw is None or not value.len:
                value = text_of(value)
            else:
                start = int(ffi.cast("uintptr_t", value.ptr)) - base
                value = raw[start : start + value.len].decode("utf-8", "surrogateescape")
        setattr(values, name, value)
    return values


def mail_parameters_in(values: MailParameters) -> tuple[Any, Spans]:
    struct = ffi.new("ehlo_mail_parameters *")
    return struct, _parameters_in(struct, values)


def rcpt_parameters_in(values: RcptParameters) -> tuple[Any, Spans]:
    struct = ffi.new("ehlo_rcpt_parameters *")
    return struct, _parameters_in(struct, values)


def mail_parameters_out(struct: Any, raw: bytes | None = None, base: int = 0) -> MailParameters:
    return _parameters_out(struct, MailParameters(), raw, base)  # type: ignore[no-any-return]


def rcpt_parameters_out(struct: Any, raw: bytes | None = None, base: int = 0) -> RcptParameters:
    return _parameters_out(struct, RcptParameters(), raw, base)  # type: ignore[no-any-return]


@dataclass(slots=True)
class Credentials:
    """Who somebody says to be, and what is to prove it. The secret is not shown by repr()."""

    mechanism: Mechanism
    authcid: str = ""
    secret: str = field(default="", repr=False)
    authzid: str = ""
    host: str = ""
    port: int = 0


def credentials_in(values: Credentials) -> tuple[Any, Spans]:
    struct = ffi.new("ehlo_credentials *")
    spans = Spans()
    struct.struct_size = ffi.sizeof("ehlo_credentials")
    try:
        struct.mechanism, struct.port = values.mechanism, values.port
    except OverflowError:
        check(lib.EHLO_ERR_ARGUMENT)
    for name in ("authzid", "authcid", "secret", "host"):
        spans.set(getattr(struct, name), getattr(values, name))
    return struct, spans


def credentials_out(struct: Any) -> Credentials:
    return Credentials(
        Mechanism(struct.mechanism),
        text_of(struct.authcid),
        text_of(struct.secret),
        text_of(struct.authzid),
        text_of(struct.host),
        struct.port,
    )


def enhanced_in(enhanced: str | Enhanced | tuple[int, int, int] | None) -> Any:
    """The C string of an enhanced code, or NULL."""
    if not enhanced:
        return ffi.NULL
    return encode(enhanced if isinstance(enhanced, str) else ".".join(map(str, enhanced)))


__all__ = [
    "Credentials",
    "Domain",
    "Enhanced",
    "MailParameters",
    "Path",
    "RcptParameters",
]
