"""The build backend: that of setuptools, with what this interpreter has already.

pip builds in an environment of its own, which sees nothing that is installed and so would download setuptools and
cffi. This looks for both where the interpreter has them, and asks for a download only if one is missing.
"""

import importlib.util
import site
import sys
from typing import Any

sys.path.extend(path for path in site.getsitepackages() if path not in sys.path)
sys.path.insert(0, ".")  # for setup.py


def _missing() -> list[str]:
    needed = {"setuptools": "setuptools >= 61", "wheel": "wheel", "cffi": "cffi >= 1.15"}
    return [requirement for name, requirement in needed.items() if importlib.util.find_spec(name) is None]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return _missing()


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    return _missing()


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None) -> str:
    from setuptools import build_meta

    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    from setuptools import build_meta

    return str(build_meta.build_sdist(sdist_directory, config_settings))
