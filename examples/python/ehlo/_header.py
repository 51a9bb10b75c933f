"""Reads ehlo.h as a binding sees it, without a C compiler.

The public header is written so that little is left to do: with EHLO_BINDING defined it holds declarations and the
conditionals that choose them, nothing else. The tests compare what comes out here with what `cc -E` makes of it.
"""

from __future__ import annotations

import pathlib
import re

# What the package adds to the header: what its callbacks get as `user`, and on which side of them Python stands.
USER = """
typedef struct ehlo_python {
  uint64_t wanted; /* bits 1 << event type: the others never reach Python */
  void *handle;
} ehlo_python;

typedef struct ehlo_python_turn { /* what a host does and asks for after each read, in one call: see ReceiveBuffer */
  size_t consumed;
  size_t size; /* of what is in `output`, and counts as sent */
  uint64_t epoch;
  uint32_t want;
  uint32_t timeout;
  char output[16384];
} ehlo_python_turn;
"""
CALLBACKS = """
extern "Python" int ehlo_python_on_server(void *handle, const ehlo_event *);
extern "Python" int ehlo_python_on_client(void *handle, const ehlo_client_event *);
int ehlo_python_server(ehlo_server *, const ehlo_event *, void *);
int ehlo_python_client(ehlo_client *, const ehlo_client_event *, void *);
int ehlo_python_server_turn(ehlo_server *, const void *data, size_t size, ehlo_python_turn *);
int ehlo_python_client_turn(ehlo_client *, const void *data, size_t size, ehlo_python_turn *);
"""

_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_DIRECTIVE = re.compile(r"\s*#\s*(\w+)\s*(.*?)\s*$")
_DEFINED = re.compile(r"defined\s*\(?\s*(\w+)\s*\)?")


def read(include: pathlib.Path) -> str:
    """The declarations of ehlo.h in the folder `include`, fit for cffi's cdef."""
    defined = {"EHLO_BINDING": ""}
    lines: list[str] = []
    _read(include / "ehlo.h", defined, lines)
    text = "\n".join(lines)
    for name, value in defined.items():
        text = re.sub(rf"\b{name}\b", value, text)
    return re.sub(r"\n{2,}", "\n", text).strip() + "\n"


def _read(path: pathlib.Path, defined: dict[str, str], lines: list[str]) -> None:
    states: list[bool] = []  # of each conditional that is open, whether its part counts; one that is done is not
    for line in _COMMENT.sub(" ", path.read_text("utf-8")).replace("\\\n", " ").splitlines():
        directive = _DIRECTIVE.match(line)
        if directive is None:
            if all(states):
                lines.append(line.rstrip())
            continue
        word, rest = directive.groups()
        if word == "ifdef":
            states.append(rest in defined)
        elif word == "ifndef":
            states.append(rest not in defined)
        elif word == "if":
            states.append(all(states) and _holds(rest, defined))
        elif word == "else":
            states[-1] = not states[-1]
        elif word == "elif":
            if all(states[:-1]):
                raise ValueError(f"{path}: #elif is nothing that a binding should meet")
        elif word == "endif":
            states.pop()
        elif not all(states):
            continue
        elif word == "define":
            name, _, value = rest.partition(" ")
            defined[name] = value
        elif word == "include":
            _read(path.parent / rest.strip('"'), defined, lines)
        else:
            raise ValueError(f"{path}: #{word} is nothing that a binding should meet")


def _holds(condition: str, defined: dict[str, str]) -> bool:
    """What the headers use: "defined(A) && !defined(B)", and no more."""
    terms = [term.strip() for term in condition.split("&&")]
    for term in terms:
        match = _DEFINED.fullmatch(term.removeprefix("!").strip())
        if match is None:
            raise ValueError(f"#if {condition} is nothing that a binding should meet")
        if (match[1] in defined) == term.startswith("!"):
            return False
    return True
