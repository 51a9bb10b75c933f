"""One thread at a time; no memory that stays."""

from __future__ import annotations

import gc
import resource
import threading
import weakref
from typing import Any

import pytest

import ehlo
from sessions import MX, Recorder, codes, open_client, open_server, say


def test_a_second_thread_is_refused() -> None:
    inside, go = threading.Event(), threading.Event()
    refused: list[BaseException] = []

    def wait(event: Any) -> None:
        inside.set()
        go.wait(10)
        event.accept()

    recorder = Recorder(on_mail=wait)
    server = open_server(recorder)

    def other() -> None:
        inside.wait(10)
        for call in (
            lambda: server.feed(b"NOOP\r\n"),
            lambda: server.want,
            server.output,
            server.take_output,
            server.lost,
            server.sleep,
            recorder.one(ehlo.MailEvent).accept,
            lambda: server.hello,
            server.timeout,
        ):
            try:
                call()
            except ehlo.InUseError as error:
                refused.append(error)
        go.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert codes(say(server, "MAIL FROM:<a@example.org>")) == [250]
    thread.join()
    assert len(refused) == 9 and not any(isinstance(error, ehlo.ReentrantError) for error in refused)
    assert codes(say(server, "NOOP")) == [250]


def test_a_handler_that_calls_back_is_refused() -> None:
    failed: list[str] = []

    def call(event: Any) -> None:
        server = event.session
        for name, arguments in (("feed", (b"x",)), ("eof", ()), ("lost", ()), ("advance", ()), ("save", ())):
            try:
                getattr(server, name)(*arguments)
            except ehlo.ReentrantError:
                failed.append(name)
        server.output()  # what calls nobody back is allowed
        assert server.want is not None and server.hello and server.timeout()
        event.accept()

    server = open_server(Recorder(on_mail=call))
    assert codes(say(server, "MAIL FROM:<a@example.org>")) == [250]
    assert failed == ["feed", "eof", "lost", "advance", "save"]


def test_sessions_in_different_threads() -> None:
    results: list[list[int]] = []

    def work() -> None:
        total = []
        for _ in range(20):
            server = open_server(Recorder(on_rcpt="accept", on_message="accept"))
            total += codes(say(server, "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA", "x" * 500, "."))
        results.append(total)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[250, 250, 354, 250] * 20] * 8


def test_freed_at_once() -> None:
    gc.disable()
    try:
        for make in (
            lambda: open_server(Recorder(on_rcpt="accept")),
            lambda: open_server(None, hello=None),
            lambda: open_client(Recorder()),
            open_client,
        ):
            made = make()
            gone = weakref.ref(made)
            kept = list(made.events()) if made.handler is None else []
            if isinstance(made, ehlo.Server) and not kept:
                say(made, "MAIL FROM:<a@example.org>")
            del made
            assert gone() is None
            if kept:
                with pytest.raises(ehlo.StateError):
                    kept[0].session
    finally:
        gc.enable()


def test_between_c_and_the_handler() -> None:
    class Interrupted(ehlo.Server):
        def _dispatch(self, event: Any) -> int:
            raise KeyboardInterrupt

    server = Interrupted("mx.example.org", Recorder())
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert server.take_output().startswith(b"421 ")  # what failed is refused


def test_an_event_outlives_its_session() -> None:
    recorder = Recorder(on_mail="defer")
    server = open_server(recorder)
    say(server, "MAIL FROM:<a@example.org>")
    del server
    recorder.one(ehlo.MailEvent).accept()


class Accept:
    def on_mail(self, event: ehlo.MailEvent) -> None:
        event.defer()
        self.mail = event

    def on_rcpt(self, event: ehlo.RcptEvent) -> None:
        event.accept()

    def on_body(self, event: ehlo.BodyEvent) -> None:
        self.pieces = event.pieces

    def on_message(self, event: ehlo.MessageEvent) -> None:
        event.accept()


def test_memory_is_flat() -> None:
    def session() -> None:
        handler = Accept()
        server = ehlo.Server(MX, handler)
        server.start()
        server.take_output()
        server.feed(b"HELO client.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n")
        handler.mail.accept()
        server.feed(b"DATA\r\nxyz\r\n.\r\nMAIL FROM:<a@example.org>\r\n")
        server.lost()
        client = ehlo.Client(CLIENT)
        client.hello()
        client.feed(b"220 mx\r\n")
        assert client.next_event() is not None

    CLIENT = ehlo.ClientConfig(hostname="client.example.org")
    for _ in range(1000):
        session()
    gc.collect()
    objects, before = len(gc.get_objects()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10000):
        session()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 1024  # KiB: less than 105 octets a session
    gc.collect()
    assert len(gc.get_objects()) - objects < 100
