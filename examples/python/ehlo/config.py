"""What a session is and allows. None, or nothing, stands for what the library's default is; ehlo/server.h and
ehlo/client.h tell what each field means, and the danger of each leniency.

A config serves many sessions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from ._binding import Spans, Text, ffi, lib
from .enums import Chunking, Extension, Mechanism, Preset, Protocol
from .errors import ArgumentError, ConfigError, check

# Not fields of the struct, but ways to fill one.
_OTHER = {"preset", "offer", "withhold", "avoid", "mechanisms", "_made"}


@dataclass(frozen=True, kw_only=True, eq=False)
class ServerConfig:
    """What a server is and allows."""

    #: This host: a domain or an address literal.
    hostname: Text
    #: What the server is for: the defaults of all that follows.
    preset: Preset = Preset.MX
    #: Extensions to offer beside those that the preset offers, and those not to.
    offer: Iterable[Extension] = ()
    withhold: Iterable[Extension] = ()

    protocol: Protocol | None = None
    max_command_line: int | None = None
    output_size: int | None = None
    max_pending: int | None = None
    pending_text: int | None = None
    hello_size: int | None = None
    max_recipients: int | None = None
    max_errors: int | None = None
    command_timeout: int | None = None
    content_timeout: int | None = None
    max_message_size: int | None = None

    #: AUTH: what is on offer. None leaves it to the preset.
    mechanisms: Iterable[Mechanism] | None = None
    other_mechanisms: Text | None = None
    max_transactions: int | None = None
    max_rcpt_domains: int | None = None
    deliver_by_min: int | None = None
    hold_max: int | None = None
    hold_max_time: int | None = None
    priority_policy: Text | None = None
    solicit: Text | None = None
    burl: Text | None = None
    xclient: Text | None = None
    xforward: Text | None = None

    own_keywords: Text | None = None
    own_verbs: Text | None = None
    own_mail_parameters: Text | None = None
    own_rcpt_parameters: Text | None = None

    submission: bool | None = None
    require_auth: bool | None = None
    odmr: bool | None = None
    expn_252: bool | None = None
    require_tls: bool | None = None
    pass_parameters: bool | None = None
    allow_bare_newline: bool | None = None
    allow_space_after_colon: bool | None = None
    allow_bare_address: bool | None = None
    allow_extra_spaces: bool | None = None
    allow_underscore: bool | None = None
    allow_any_hello: bool | None = None
    allow_8bit_orcpt: bool | None = None
    allow_plaintext_auth: bool | None = None

    _made: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("offer", "withhold"):  # to be read more than once
            object.__setattr__(self, name, tuple(getattr(self, name)))
        struct = ffi.new("ehlo_server_config *")
        check(lib.ehlo_server_config_preset(struct, ffi.sizeof("ehlo_server_config"), int(self.preset)))
        for extension, on in [(each, 1) for each in self.offer] + [(each, 0) for each in self.withhold]:
            _switch(struct.offer, extension, on)
        if self.mechanisms is not None:
            struct.mechanisms = sum({1 << int(mechanism) for mechanism in self.mechanisms})
        spans = _fill(struct, self)
        size = lib.ehlo_server_size(struct)
        if size == 0:
            raise ConfigError()
        object.__setattr__(self, "_made", (struct, size, spans))


@dataclass(frozen=True, kw_only=True, eq=False)
class ClientConfig:
    """What a client is and does."""

    #: This host, as HELO, EHLO and LHLO say it: a domain or an address literal.
    hostname: Text
    #: Extensions not to use, even if the server offers them.
    avoid: Iterable[Extension] = ()

    protocol: Protocol | None = None
    output_size: int | None = None
    max_commands: int | None = None
    max_recipients: int | None = None
    max_reply_line: int | None = None
    max_reply_lines: int | None = None
    max_reply_size: int | None = None
    parameters_size: int | None = None
    max_sasl_line: int | None = None
    greeting_timeout: int | None = None
    command_timeout: int | None = None
    data_timeout: int | None = None
    content_timeout: int | None = None
    verdict_timeout: int | None = None

    no_helo: bool | None = None
    hold_data: bool | None = None
    pass_parameters: bool | None = None
    chunking: Chunking | None = None
    allow_plaintext_auth: bool | None = None
    convert_lf: bool | None = None

    _made: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "avoid", tuple(self.avoid))
        struct = ffi.new("ehlo_client_config *")
        check(lib.ehlo_client_config_init(struct, ffi.sizeof("ehlo_client_config")))
        for extension in self.avoid:
            _switch(struct.use, extension, 0)
        spans = _fill(struct, self)
        size = lib.ehlo_client_size(struct)
        if size == 0:
            raise ConfigError()
        object.__setattr__(self, "_made", (struct, size, spans))


def _switch(switches: Any, extension: int, on: int) -> None:
    if not 0 <= extension < lib.EHLO_EXT_ROOM:
        raise ArgumentError(f"{extension} is no extension")
    switches[extension] = on


def _fill(struct: Any, config: Any) -> Spans:
    spans = Spans()
    for each in fields(config):
        if each.name in _OTHER:
            continue
        value = getattr(config, each.name)
        if value is None:
            continue
        if isinstance(value, (str, bytes)):
            spans.set(getattr(struct, each.name), value)
            continue
        try:
            setattr(struct, each.name, int(value))
        except OverflowError:
            raise ConfigError(f"{each.name} is out of its range") from None
    return spans
