"""What cffi compiles: the extension ehlo._ehlo, with libehlo behind it.

libehlo is the first of these: the build directory of meson that the environment's EHLO_BUILD names; an installed one
that pkg-config finds; the sources of the checkout that this is in, compiled into the extension.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent

# Behind the header, and the structs of ehlo/_header.py.
SOURCE = """
static int ehlo_python_on_server(void *handle, const ehlo_event *);
static int ehlo_python_on_client(void *handle, const ehlo_client_event *);

/* An event that nobody wants costs no step into Python: what it asks gets the safe answer. */
static int ehlo_python_server(ehlo_server *server, const ehlo_event *event, void *user)
{
  const ehlo_python *python = (const ehlo_python *)user;
  (void)server;
  return event->type >= 64 || !(python->wanted >> event->type & 1) ? EHLO_HANDLED
                                                                    : ehlo_python_on_server(python->handle, event);
}

static int ehlo_python_client(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  const ehlo_python *python = (const ehlo_python *)user;
  (void)client;
  return event->type >= 64 || !(python->wanted >> event->type & 1) ? EHLO_HANDLED
                                                                    : ehlo_python_on_client(python->handle, event);
}

/* Feeds, unless data is NULL, then takes what is to be sent. */
#define TURN(side)                                                                                                 \\
  static int ehlo_python_##side##_turn(ehlo_##side *session, const void *data, size_t size, ehlo_python_turn *turn)\\
  {                                                                                                                \\
    int result;                                                                                                    \\
    const void *output;                                                                                            \\
    turn->consumed = 0;                                                                                            \\
    result = data == NULL ? EHLO_OK : ehlo_##side##_feed(session, data, size, &turn->consumed);                    \\
    output = ehlo_##side##_output(session, &turn->size);                                                           \\
    if (turn->size > sizeof turn->output)                                                                          \\
      turn->size = sizeof turn->output;                                                                            \\
    if (turn->size > 0) {                                                                                          \\
      memcpy(turn->output, output, turn->size);                                                                    \\
      ehlo_##side##_sent(session, turn->size);                                                                     \\
    }                                                                                                              \\
    turn->want = ehlo_##side##_want(session);                                                                      \\
    turn->timeout = ehlo_##side##_timeout(session, &turn->epoch);                                                  \\
    return result;                                                                                                 \\
  }

TURN(server)
TURN(client)
"""


def header() -> Any:
    """The package's own module that reads the header, without the package around it."""
    spec = importlib.util.spec_from_file_location("_header", HERE / "ehlo" / "_header.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pkg_config(*arguments: str) -> str | None:
    try:
        run = subprocess.run(["pkg-config", *arguments, "libehlo"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def include() -> pathlib.Path:
    """The folder of the header that belongs to the library that is linked."""
    if "EHLO_BUILD" not in os.environ and pkg_config("--exists") is not None:
        return pathlib.Path(pkg_config("--variable=includedir") or "/usr/include")
    if not (CHECKOUT / "include" / "ehlo.h").exists():
        raise SystemExit("ehlo: this is no checkout of libehlo, and pkg-config finds no installed one")
    return CHECKOUT / "include"


def version() -> str:
    text = (include() / "ehlo" / "base.h").read_text("utf-8")
    return ".".join(re.findall(r"EHLO_VERSION_(?:MAJOR|MINOR|PATCH) = (\d+)", text))


def options() -> dict[str, Any]:
    """The arguments of setuptools' Extension."""
    build = os.environ.get("EHLO_BUILD")
    if build is not None:
        folder = pathlib.Path(build).resolve() / "lib"
        archive, shared = folder / "libehlo.a", folder / "libehlo.so"
        if archive.exists():  # nothing is to be found again at run time
            return {"include_dirs": [str(include())], "extra_objects": [str(archive)], "depends": [str(archive)]}
        if shared.exists():
            return {
                "include_dirs": [str(include())],
                "libraries": ["ehlo"],
                "library_dirs": [str(folder)],
                "runtime_library_dirs": [str(folder)],
            }
        raise SystemExit(f"ehlo: EHLO_BUILD is {build}, where there is no lib/libehlo.a nor lib/libehlo.so")
    if pkg_config("--exists") is not None:
        return {
            "include_dirs": [str(include())],
            "extra_compile_args": (pkg_config("--cflags") or "").split(),
            "extra_link_args": (pkg_config("--libs") or "-lehlo").split(),
        }
    return {
        "include_dirs": [str(include())],
        "define_macros": [("EHLO_BUILD", None)],
        "extra_compile_args": ["-std=c11", "-fvisibility=hidden", "-g0"],
    }


def sources() -> list[str]:
    """The sources of libehlo, if they are to be part of the extension."""
    if "EHLO_BUILD" in os.environ or pkg_config("--exists") is not None:
        return []
    return sorted(str(path) for path in CHECKOUT.glob("lib/*/*.c"))


def ffi() -> Any:
    import cffi

    module = header()
    builder = cffi.FFI()
    builder.cdef(module.read(include()) + module.USER + module.CALLBACKS)
    source = "#include <ehlo.h>\n#include <string.h>\n" + module.USER + SOURCE
    builder.set_source("ehlo._ehlo", source, **options())
    return builder
