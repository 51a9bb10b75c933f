"""The examples of README.md, as they stand there."""

from __future__ import annotations

import pathlib
import re
import socket
import threading
from typing import Any

import pytest

import ehlo

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def test_a_server_and_a_client(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    near, far = socket.socketpair()
    with near, far:
        thread = threading.Thread(target=names["serve"], args=(far,))
        thread.start()
        assert names["send"](near, b"Subject: hello\r\n\r\nworld") is True
        thread.join(10)
    assert "Subject: hello" in capsys.readouterr().out
    assert ehlo.parse_reply("550 5.1.1 No such user").enhanced == (5, 1, 1)
