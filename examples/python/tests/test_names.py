"""Nothing of the public header is missing in the package."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

import ehlo
from ehlo import _header, client_events, events
from ehlo._binding import ffi, lib

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
HEADER = _header.read(CHECKOUT / "include")
PACKAGE = pathlib.Path(ehlo.__file__).parent
SOURCE = "\n".join(path.read_text("utf-8") for path in sorted(PACKAGE.glob("*.py")))

# What Python has words of its own for.
NOT_FUNCTIONS = {
    "ehlo_span_of": "bytes",
    "ehlo_span_equal": "==",
    "ehlo_server_config_init": "ehlo_server_config_preset with EHLO_PRESET_MX is the same",
    "ehlo_error_is_fatal": "HandlerError alone is",
}
NOT_CONSTANTS = {"EHLO_OK", "EHLO_VERB_COUNT", "EHLO_EXT_COUNT", "EHLO_PARAMETER_COUNT", "EHLO_SASL_COUNT"}
NOT_CONSTANTS |= {"EHLO_VERSION_PATCH"}  # `version` tells it


def test_the_header_is_read_as_a_compiler_reads_it() -> None:
    run = subprocess.run(
        [*os.environ.get("CC", "cc").split(), "-E", "-P", "-nostdinc", "-DEHLO_BINDING", "include/ehlo.h"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert HEADER.split() == run.stdout.split()


def test_functions() -> None:
    exported = set(re.findall(r"^ +(ehlo_\w+);", (CHECKOUT / "lib" / "ehlo.map").read_text("utf-8"), re.M))
    assert len(exported) > 100
    assert {name for name in exported if not hasattr(lib, name)} == set()
    used = set(re.findall(r"lib\.(ehlo_\w+)", SOURCE))
    assert exported - used == set(NOT_FUNCTIONS)


def test_constants() -> None:
    constants = dict(re.findall(r"\b(EHLO_\w+) = (-?\d+)", HEADER))
    assert len(constants) > 200
    assert {name for name, value in constants.items() if getattr(lib, name) != int(value)} == set()
    used = set(re.findall(r"lib\.(EHLO_\w+)", SOURCE))
    assert set(constants) - used == NOT_CONSTANTS
    assert used - set(constants) == set()


def fields(struct: str) -> set[str]:
    return {name for name, _ in ffi.typeof(struct).fields}


@pytest.mark.parametrize(
    "struct, kind, not_there",
    [
        ("ehlo_server_config", ehlo.ServerConfig, {"struct_size", "processor"}),
        ("ehlo_client_config", ehlo.ClientConfig, {"struct_size", "processor", "use"}),
        (
            "ehlo_mail_parameters",
            ehlo.MailParameters,
            {"struct_size", "has_size", "has_priority", "has_hold_until", "has_mtrk_timeout"},
        ),
        ("ehlo_rcpt_parameters", ehlo.RcptParameters, {"struct_size"}),
        ("ehlo_credentials", ehlo.Credentials, {"struct_size"}),
        ("ehlo_domain", ehlo.Domain, set()),
        ("ehlo_path", ehlo.Path, set()),
        ("ehlo_enhanced", ehlo.Enhanced, set()),
        ("ehlo_reply_line", ehlo.ReplyLine, set()),
        ("ehlo_command", ehlo.Command, {"has_argument"}),
        ("ehlo_parameter", ehlo.Parameter, {"raw", "has_value"}),
    ],
)
def test_structs(struct: str, kind: type, not_there: set[str]) -> None:
    annotated = set(getattr(kind, "__annotations__", ())) | set(dir(kind))
    assert fields(struct) - annotated == not_there


def test_server_events() -> None:
    names = {kind.name for kind in ehlo.ServerEventType}
    assert names == set(events.CLASSES)
    union = dict(ffi.typeof("ehlo_event_union").fields)
    shared = {"query": ehlo.VrfyEvent, "peer": ehlo.XClientEvent}
    renamed = {"body": {"spans", "count"}, "step": {"has_response"}, "auth": fields("ehlo_credentials")}
    for field, each in union.items():
        kind = shared.get(field) or events.CLASSES[field.upper()][0]
        missing = {name for name, _ in each.type.fields} - set(dir(kind))
        assert missing == renamed.get(field, set()), field
    for name in names:
        assert hasattr(ehlo.ServerHandler, f"on_{name.lower()}")
        assert getattr(ehlo, events.CLASSES[name][0].__name__) is events.CLASSES[name][0]


def test_client_events() -> None:
    names = {kind.name for kind in ehlo.ClientEventType}
    assert names == set(client_events.CLASSES)
    for field, each in dict(ffi.typeof("ehlo_client_event_union").fields).items():
        kind = client_events.CLASSES[field.upper()]
        assert {name for name, _ in each.type.fields} - set(dir(kind)) == set(), field
    for name in names:
        assert hasattr(ehlo.ClientHandler, f"on_{name.lower()}")


def test_errors() -> None:
    codes = {name: getattr(lib, name) for name in re.findall(r"\bEHLO_ERR_\w+", HEADER)}
    for code in codes.values():
        error = ehlo.errors.error_of(code)
        assert type(error) is not ehlo.HostError and error.code == code and str(error)
    assert type(ehlo.errors.error_of(-999)) is ehlo.HostError


def test_what_is_new_in_a_library_is_let_through() -> None:
    assert ehlo.Verb(99) == 99 and ehlo.Verb(99).name == "NUMBER_99"
    assert ehlo.enums.VERBS[98].value == 98


def test_names() -> None:
    assert ehlo.verb_name(ehlo.Verb.MAIL) == "MAIL"
    assert ehlo.extension_keyword(ehlo.Extension.EIGHTBITMIME) == "8BITMIME"
    assert ehlo.end_name(99) == ehlo.violation_name(99) == ehlo.event_name(99) == ehlo.client_event_name(99) == "?"
    assert [kind.name for kind in ehlo.ServerEventType] == [ehlo.event_name(kind) for kind in ehlo.ServerEventType]
    assert set(ehlo.__all__) <= set(dir(ehlo))
