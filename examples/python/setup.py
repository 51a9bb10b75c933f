"""pip install ./examples/python: see setup_ffi.py for which libehlo is linked.

With EHLO_PYTHON_ABI=1 in the environment nothing is compiled: the package then loads libehlo.so at run time.
Nothing is written beside the sources.
"""

import atexit
import os
import pathlib
import shutil
import sys
import tempfile
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import setuptools
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

import setup_ffi

SCRATCH = tempfile.mkdtemp(prefix="ehlo-build-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)


class Build(build):
    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = SCRATCH


class BuildPython(build_py):
    """Adds the declarations that the package reads where it has no extension."""

    def run(self) -> None:
        super().run()
        target = pathlib.Path(self.build_lib) / "ehlo" / "_ehlo.h"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(setup_ffi.header().read(setup_ffi.include()), "utf-8")

    def get_outputs(self, *arguments: Any, **named: Any) -> list[str]:
        return [*super().get_outputs(*arguments, **named), os.path.join(self.build_lib, "ehlo", "_ehlo.h")]


class BuildExtension(build_ext):
    """Adds the sources of libehlo, late: setuptools wants none to be listed that are outside of this folder."""

    def build_extension(self, ext: Any) -> None:
        ext.sources = [*ext.sources, *setup_ffi.sources()]
        super().build_extension(ext)


class EggInfo(egg_info):
    def initialize_options(self) -> None:
        super().initialize_options()
        self.egg_base = SCRATCH


compiled = {} if os.environ.get("EHLO_PYTHON_ABI") == "1" else {"cffi_modules": ["setup_ffi.py:ffi"]}
setuptools.setup(
    version=setup_ffi.version(),
    cmdclass={"build": Build, "build_py": BuildPython, "build_ext": BuildExtension, "egg_info": EggInfo},
    **compiled,
)
