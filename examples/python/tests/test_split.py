"""However the octets are cut, and whenever they are answered: the same output, the same events."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import ehlo
from sessions import Recorder

CONFIG = ehlo.ServerConfig(
    hostname="mx.example.org", offer=[ehlo.Extension.DSN, ehlo.Extension.AUTH], mechanisms=[ehlo.Mechanism.CRAM_MD5]
)
# No second EHLO: who speaks behind it before its answer is sent is an early talker, so there the cuts count.
LINES = [
    b"MAIL FROM:<a@example.org>",
    b"MAIL FROM:<a@example.org> RET=HDRS",
    b"RCPT TO:<good@example.org>",
    b"RCPT TO:<bad@example.org>",
    b"DATA",
    b"..x",
    b".",
    b"text",
    b"BDAT 6",
    b"BDAT 0 LAST",
    b"RSET",
    b"NOOP",
    b"HELP",
    b"AUTH CRAM-MD5",
    b"VRFY x",
    b"XYZZY",
    b"",
    b"bad \r line",
]


def decide(event: Any) -> None:
    if isinstance(event, ehlo.RcptEvent):
        event.accept() if event.path.mailbox.startswith("good") else event.reject(550, "5.1.1", "No such user")
    elif isinstance(event, ehlo.MessageEvent):
        event.accept()
    elif isinstance(event, ehlo.VrfyEvent):
        event.reply(250, "2.1.5", "<x@example.org>")


def run(octets: bytes, cuts: list[int], iterate: bool) -> tuple[bytes, list[str], bytes]:
    """What went out, what happened, and the content, joined."""
    names = ("on_rcpt", "on_message", "on_vrfy")
    recorder = None if iterate else Recorder(**{name: decide for name in names})
    server = ehlo.Server(CONFIG, recorder)
    out, found, content = bytearray(), [], bytearray()

    def settle() -> None:
        while True:
            if iterate:
                for event in server.events():
                    decide(event)
                    found.append(event)
                    if isinstance(event, ehlo.BodyEvent):
                        event.add_to(content)
            elif server.want & ehlo.Want.FEED:
                server.advance()
            out.extend(server.take_output())
            if not server.want & (ehlo.Want.FEED | ehlo.Want.WRITE):
                return

    server.start()
    settle()
    places = [0, 25, *sorted(25 + cut % (len(octets) - 25) for cut in cuts), len(octets)]
    for start, end in zip(places, places[1:]):
        server.feed(octets[start:end])
        settle()
    server.eof()
    settle()
    if recorder is not None:
        found, content = recorder.events, recorder.content
    return bytes(out), [repr(event) for event in found if not isinstance(event, ehlo.BodyEvent)], bytes(content)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=25), st.lists(st.integers(0, 10000), max_size=20), st.booleans())
def test_cuts(lines: list[bytes], cuts: list[int], iterate: bool) -> None:
    octets = b"EHLO client.example.org\r\n" + b"".join(line + b"\r\n" for line in lines) + b"NOOP\r\n"
    whole = run(octets, [], False)
    assert run(octets, cuts, iterate) == whole
    assert run(octets, list(range(len(octets))), iterate) == whole


REPLIES = [b"250 ok\r\n", b"250-more\r\n250 ok\r\n", b"550 5.1.1 no\r\n", b"354 go\r\n", b"451 later\r\n", b"25\r\n", b"421 x\r\n"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(REPLIES), max_size=8), st.lists(st.integers(0, 10000), max_size=20))
def test_cuts_at_the_client(replies: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(replies)

    def talk(places: list[int]) -> tuple[bytes, list[str]]:
        recorder = Recorder()
        client = ehlo.Client("client.example.org", recorder)
        client.hello()
        client.feed(b"220 mx\r\n")
        out = client.take_output()
        client.feed(b"250-mx\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n")
        client.mail("a@example.org")
        client.rcpt("b@example.org")
        client.data()
        out += client.take_output()
        for start, end in zip(places, places[1:]):
            client.feed(memoryview(octets)[start:end])
            if client.want & ehlo.Want.CONTENT:
                client.body_end()
            out += client.take_output()
        client.eof()
        return out, [repr(event) for event in recorder.events]

    bounds = [0]
    for reply in replies:  # what comes before the content has been sent is an answer too soon: keep that apart
        bounds.append(bounds[-1] + len(reply))
    mine = sorted({*bounds, *(cut % (len(octets) + 1) for cut in cuts)})
    assert talk(mine) == talk(bounds) == talk(list(range(len(octets) + 1)))
