"""A message as it goes to a server: which octets, and what must be said of them in MAIL."""

from __future__ import annotations

import copy
import email
import email.policy
import io
from collections.abc import Iterable
from email.generator import BytesGenerator
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.utils import getaddresses
from typing import Any, NamedTuple

from ..errors import UnsupportedError

Content = Message | bytes | bytearray | memoryview

_ADDRESSES = ("From", "Sender", "Reply-To", "To", "Cc")
_RECIPIENTS = ("To", "Cc", "Bcc")
_HIDDEN = ("Bcc", "Resent-Bcc")


class Prepared(NamedTuple):
    sender: str
    recipients: list[str]
    octets: bytes
    smtputf8: bool
    eight_bit: bool


def prepare(
    message: Content, sender: str | None, recipients: Iterable[str] | str | None, smtputf8: bool, eight_bit: bool
) -> Prepared:
    """For a server that offers SMTPUTF8 or 8BITMIME, or does not: what can be said without is said without then. Raises
    UnsupportedError, ValueError."""
    if isinstance(recipients, str):
        recipients = [recipients]
    if isinstance(message, Message):
        sender = _sender(message) if sender is None else sender
        recipients = _recipients(message) if recipients is None else recipients
    if sender is None or recipients is None:
        raise ValueError("octets have neither sender nor recipients")
    names = list(recipients)
    if not names:
        raise ValueError("there is no recipient")
    international = not all(each.isascii() for each in (sender, *names))
    if international and not smtputf8:
        sender, names = _in_ascii(sender), [_in_ascii(each) for each in names]
        international = False
    if isinstance(message, Message):
        octets, named = _generated(message, smtputf8, eight_bit, international)
    else:
        octets, named = _lines(bytes(message)), False
    head = octets[: octets.find(b"\r\n\r\n") + 1 or len(octets)]
    if not head.isascii() and not smtputf8:
        raise UnsupportedError("the header is in UTF-8, and the server does not offer SMTPUTF8")
    if not octets.isascii() and not eight_bit:
        octets = _in_seven_bits(octets)
    utf8 = international or named or not head.isascii()
    return Prepared(sender, names, octets, utf8, not octets.isascii())


def _lines(octets: bytes) -> bytes:
    """With CRLF. A CR that ends no line stays, and is refused when the message is sent."""
    if octets.count(b"\n") != octets.count(b"\r\n"):
        octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return octets


def _in_ascii(address: str) -> str:
    """The domain in A-labels."""
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    try:
        if local.isascii():
            end = ">" if domain.endswith(">") else ""
            return local + at + domain.removesuffix(">").encode("idna").decode() + end
    except UnicodeError:
        pass
    raise UnsupportedError(f"{address} is in UTF-8, and the server does not offer SMTPUTF8")


def _values(message: Message, name: str) -> list[Any]:
    prefix = "Resent-" if message.get("Resent-Date") is not None else ""
    return message.get_all(prefix + name, [])


def _found(values: Iterable[Any]) -> list[str]:
    found = []
    for value in values:
        if hasattr(value, "addresses"):
            found += [each.addr_spec for each in value.addresses]
        else:
            found += [address for _, address in getaddresses([str(value)])]
    return [address for address in found if address]


def _sender(message: Message) -> str | None:
    found = _found(_values(message, "Sender")) or _found(_values(message, "From"))
    return found[0] if found else None


def _recipients(message: Message) -> list[str]:
    found = _found(value for name in _RECIPIENTS for value in _values(message, name))
    return list(dict.fromkeys(found))


def _generated(message: Message, smtputf8: bool, eight_bit: bool, international: bool) -> tuple[bytes, bool]:
    """The octets of a message, and whether it has addresses in UTF-8."""
    message = copy.copy(message)
    for name in _HIDDEN:
        del message[name]
    named = not all(each.isascii() for name in _ADDRESSES for each in _found(message.get_all(name, [])))
    if named and not smtputf8:
        _rename(message)
        named = False
    options: dict[str, Any] = {"linesep": "\r\n", "cte_type": "8bit" if eight_bit or named else "7bit"}
    if isinstance(message, EmailMessage):
        policy = message.policy.clone(utf8=named or international, **options)
    elif named or international:
        policy = email.policy.SMTPUTF8
    else:
        policy = message.policy.clone(**options)
    out = io.BytesIO()
    try:
        BytesGenerator(out, mangle_from_=False, policy=policy).flatten(message, linesep="\r\n")
    except (UnicodeError, LookupError) as error:
        raise UnsupportedError(f"the message cannot be written: {error}") from error
    return _lines(out.getvalue()), named


def _rename(message: Message) -> None:
    """Writes the domains of its addresses in A-labels."""
    for name in _ADDRESSES:
        values: list[Any] = message.get_all(name, [])
        if all(each.isascii() for each in _found(values)):
            continue
        addresses = [address for value in values for address in getattr(value, "addresses", ())]
        if not addresses:
            raise UnsupportedError(f"{name} is in UTF-8, and the server does not offer SMTPUTF8")
        del message[name]
        message[name] = [Address(each.display_name, addr_spec=_in_ascii(each.addr_spec)) for each in addresses]


def _in_seven_bits(octets: bytes) -> bytes:
    """The same message in an encoding of its parts."""
    parsed = email.message_from_bytes(octets, policy=email.policy.SMTP)
    out = io.BytesIO()
    try:
        BytesGenerator(out, mangle_from_=False, policy=email.policy.SMTP.clone(cte_type="7bit")).flatten(parsed)
    except (UnicodeError, LookupError):  # of a part nobody says what it is
        out.seek(0)
        out.truncate()
    result = _lines(out.getvalue())
    if not result or not result.isascii():
        raise UnsupportedError("the message has octets above 127, and the server does not offer 8BITMIME")
    return result
