# The extension that cffi makes. Its contents follow from ehlo.h, whose types stop here: what is handed on is typed.
from typing import Any

ffi: Any
lib: Any
