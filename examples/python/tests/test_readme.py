"""The examples of README.md and SANSIO.md, as they stand there."""

from __future__ import annotations

import asyncio
import pathlib
import re
import socket
import threading
from typing import Any

import pytest

import ehlo
import ehlo.testing
from aio import HELLO, Peer, serve

PAGES = [pathlib.Path(__file__).resolve().parent.parent / name for name in ("README.md", "SANSIO.md")]


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S):
            exec(compile(block, page.name, "exec"), found)
    return found


def test_receive_and_send(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]

    async def main() -> None:
        stopped = asyncio.Event()
        receiving = asyncio.create_task(names["receive"](stopped, port))
        for _ in range(100):
            try:
                await names["send"](port)
                break
            except ehlo.ConnectError:
                await asyncio.sleep(0.01)
        stopped.set()
        await receiving

    asyncio.run(main())
    received, sent, refused = capsys.readouterr().out.splitlines()
    assert received.startswith("me@example.org ['you@example.org'] ")
    assert sent.startswith("['you@example.org'] {'them@example.com': Reply(code=550,")
    assert refused == "554 False"


@pytest.mark.parametrize("name", ["Mailbox", "Content"])
def test_whom_the_servers_know(names: dict[str, Any], name: str) -> None:
    """The case of a domain is no matter, and <Postmaster> has none (RFC 5321 4.5.1)."""

    async def main() -> None:
        async with serve(names[name]()) as server:
            peer = await Peer.connect(server)
            await peer.say(HELLO + b"MAIL FROM:<>\r\n", 2)
            recipients = b"RCPT TO:<Postmaster>\r\nRCPT TO:<a@EXAMPLE.org>\r\nRCPT TO:<a@example.net>\r\n"
            assert await peer.say(recipients, 3) == [250, 250, 550]
            await peer.close()

    asyncio.run(main())


def test_a_server_and_a_client(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    near, far = socket.socketpair()
    with near, far:
        thread = threading.Thread(target=names["serve_one"], args=(far,))
        thread.start()
        assert names["send_one"](near, b"Subject: hello\r\n\r\nworld") is True
        thread.join(10)
    assert "Subject: hello" in capsys.readouterr().out
    assert ehlo.parse_reply("550 5.1.1 No such user").enhanced == (5, 1, 1)


def test_the_tests(names: dict[str, Any], smtp_server: ehlo.testing.Server) -> None:
    names["test_unknown_guest"]()
    names["test_fixture"](smtp_server)
