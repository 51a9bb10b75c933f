"""What a server for tests is told to do otherwise than well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._grammar import format_reply_line
from ..enums import Verb

#: Code, enhanced code, text.
Refusal = tuple[int, str | None, str]
Refuse = Mapping[str, Refusal | Callable[[Any], Refusal | None]] | Callable[[Any], Refusal | None]
Delay = float | Mapping[str, float | Callable[[Any], float | None]] | Callable[[Any], float | None]

#: What is answered: by `refuse` and `delay`.
ANSWERED = frozenset({"CONNECT", "HELO", "EHLO", "LHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "MESSAGE"})
_HANG_UP = frozenset({"CONNECT", "BODY", "MESSAGE", *(verb.name for verb in Verb)})


def check_keys(rules: Any) -> None:
    """A rule that can never be met is a mistake."""
    if not isinstance(rules, Mapping):
        return
    for key in rules:
        name, _, address = key.partition(" ")
        if name not in ANSWERED and (address or not ("@" in name or name.lower() == "postmaster")):
            raise ValueError(f"{key!r} is no address, and none of {', '.join(sorted(ANSWERED))}")


def check_refusals(rules: Any) -> None:
    """Nor can one that holds what cannot be said."""
    for rule in rules.values() if isinstance(rules, Mapping) else ():
        if rule is None or callable(rule):
            continue
        try:
            code, enhanced, text = rule
            if not 400 <= code <= 599:
                raise ValueError(f"{code} is none")
            format_reply_line(code, text, enhanced or None)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{rule!r} is no refusal, which is (code, enhanced code, text): {error}") from None


def check_hang_up(names: Iterable[str]) -> frozenset[str]:
    found = frozenset([names] if isinstance(names, str) else names)
    if not found <= _HANG_UP:
        raise ValueError(f"there is no {', no '.join(sorted(found - _HANG_UP))} to hang up at")
    return found


def look_up(rules: Any, name: str, address: str, event: Any) -> Any:
    """What is said of an event: by its name and address, by its name, or by a function."""
    if isinstance(rules, Mapping):
        keys = [f"{name} {address}".lower(), name.lower()]
        if name == "RCPT":
            keys.insert(0, address.lower())
        found = {key.lower(): rule for key, rule in rules.items()}
        rules = next((found[key] for key in keys if key in found), None)
    return rules(event) if callable(rules) else rules
