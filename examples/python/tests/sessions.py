"""What the tests of sessions share: recorders, and a wire between two machines."""

from __future__ import annotations

from typing import Any, Callable

import ehlo

MX = ehlo.ServerConfig(hostname="mx.example.org")


class Recorder:
    """A handler that gets all events, notes them, and answers as it is told: what it was made with by the name of the
    method, a function or the name of a method of the event."""

    def __init__(self, **answers: Callable[[Any], Any] | str) -> None:
        self.answers = answers
        self.events: list[Any] = []
        self.content = bytearray()
        self.errors: list[tuple[Exception, Any]] = []

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        if not name.startswith("on_"):
            raise AttributeError(name)

        def method(event: Any) -> None:
            self.events.append(event)
            if isinstance(event, ehlo.BodyEvent):
                event.add_to(self.content)
            answer = self.answers.get(name)
            if isinstance(answer, str):
                getattr(event, answer)()
            elif answer is not None:
                answer(event)

        return method

    def on_error(self, error: Exception, event: Any) -> None:
        self.errors.append((error, event))

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[Any]) -> Any:
        (event,) = self.of(kind)
        return event


def open_server(
    handler: object | None = None, config: ehlo.ServerConfig = MX, hello: bytes | None = b"EHLO client.example.org\r\n"
) -> ehlo.Server:
    server = ehlo.Server(config, handler)
    server.start()
    server.take_output()
    if hello is not None:
        server.feed(hello)
        server.take_output()
    return server


def say(server: ehlo.Server, *lines: str | bytes) -> list[str]:
    """Feeds lines, and returns those of the answer."""
    server.feed(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))
    return answer(server)


def answer(server: ehlo.Server) -> list[str]:
    while server.want & ehlo.Want.FEED:
        server.advance()
    return server.take_output().decode().splitlines()


def codes(lines: list[str]) -> list[int]:
    return [int(line[:3]) for line in lines]


def open_client(
    handler: object | None = None, config: ehlo.ClientConfig | None = None, keywords: str = "PIPELINING"
) -> ehlo.Client:
    """A client that has been greeted and has said EHLO."""
    client = ehlo.Client(config or ehlo.ClientConfig(hostname="client.example.org"), handler)
    client.hello(tag=1)
    client.feed(b"220 mx.example.org\r\n")
    client.take_output()
    hear(client, *["250-mx.example.org", *(f"250-{keyword}" for keyword in keywords.split(",")), "250 HELP"])
    return client


def hear(client: ehlo.Client, *lines: str) -> None:
    client.feed("".join(line + "\r\n" for line in lines).encode())


def dialogue(server: ehlo.Server, client: ehlo.Client, content: bytes = b"") -> None:
    """Lets both talk until the client is done."""
    for _ in range(10000):
        if client.want & ehlo.Want.CLOSE:
            return
        if client.want & ehlo.Want.CONTENT:
            if content:
                content = content[client.body(content) :]
            else:
                client.body_end()
        server.feed(client.take_output())
        client.feed(server.take_output())
    raise AssertionError("they talk for ever")
