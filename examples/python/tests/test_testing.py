"""ehlo.testing: what it collects, refuses, delays, drops, shows; and that nothing is left of it."""

from __future__ import annotations

import asyncio
import gc
import os
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import ehlo
import ehlo.aio
import ehlo.testing
from ehlo.testing import Server

pytest_plugins = ["pytester"]

ALICE, BOB = "alice@example.org", "bob@example.org"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Of a server that was stopped there is no thread, and no socket."""
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    yield
    gc.collect()
    assert threading.active_count() == threads
    if files:
        assert len(os.listdir("/proc/self/fd")) == files


@pytest.mark.parametrize(
    "rule", [550, "550 No", (250, None, "Yes"), (550, "5.1", "No"), (550, "5.1.1", "Größe"), (550, "5.1.1", "a", "b")]
)
def test_refusals_that_cannot_be_said(rule: Any) -> None:
    with pytest.raises(ValueError, match="no refusal"):
        Server(refuse={BOB: rule})
    server = Server(refuse={BOB: (550, None, "No"), ALICE: None})
    with pytest.raises(ValueError, match="no refusal"):
        server.refuse = {BOB: rule}


def message(subject: str = "Hello") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "me@example.com", f"{ALICE}, {BOB}", subject
    made.set_content("It works.\n.\n")
    return made


def send(server: Server, **options: Any) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP(server.host, server.port, timeout=10) as client:
        return client.send_message(message(), **options)


def raw(server: Server) -> socket.socket:
    return socket.create_connection((server.host, server.port), 10)


def talk(server: Server, *lines: str) -> str:
    """Says lines at once, and returns all that is answered until the server closes, or nothing more comes."""
    with raw(server) as connection:
        connection.sendall("".join(line + "\r\n" for line in lines).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while octets := connection.recv(65536):
                answer += octets
        except ConnectionResetError:
            pass
        return answer.decode()


# ---- messages ----


def test_messages() -> None:
    with Server() as server:
        assert server.messages == [] and server.port
        with smtplib.SMTP(server.host, server.port, timeout=10) as client:
            client.send_message(message(), mail_options=["BODY=8BITMIME"], rcpt_options=["NOTIFY=FAILURE"])
            (first,) = server.messages  # no wait: it is there before the answer is
            client.send_message(message("Second"))
        assert [each.message()["Subject"] for each in server.messages] == ["Hello", "Second"]
    assert first.mail_from == "me@example.com" and first.recipients == [ALICE, BOB]
    assert first.mail_parameters.body == ehlo.BodyType.EIGHTBITMIME
    assert [each.notify for each in first.rcpt_parameters] == [ehlo.Notify.FAILURE] * 2
    assert first.content.endswith(b"\r\n\r\nIt works.\r\n.\r\n")
    assert first.message().get_content() == "It works.\r\n.\r\n"
    assert first.message() is first.message()
    assert first.peer[0] == "127.0.0.1" and not first.tls and first.user == ""


def test_wait() -> None:
    with Server() as server:
        threads = [threading.Timer(0.05 * number, send, [server]) for number in range(3)]
        for thread in threads:
            thread.start()
        assert len(server.wait(3, 10)) == 3
        for thread in threads:
            thread.join()
        server.clear()
        assert server.messages == []
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match=r"0 of 1 messages after 0\.1 seconds\n(.|\n)*mail FROM:<me@example\.com>"):
            server.wait(1, 0.1)
        assert 0.1 <= time.monotonic() - begun < 5


def test_what_was_not_accepted_is_no_message() -> None:
    with Server() as server:
        talk(server, "EHLO x", "MAIL FROM:<a@example.org>", f"RCPT TO:<{BOB}>", "DATA", "half of it")
        talk(server, "EHLO x", "MAIL FROM:<a@example.org>", f"RCPT TO:<{BOB}>", "RSET", "QUIT")
        assert server.messages == []
        assert "-- the transaction ended: LOST" in server.dialogue and "ended: RESET" in server.dialogue


# ---- refuse ----


def test_refuse_a_recipient() -> None:
    with Server(refuse={"Bob@example.org": (550, "5.1.1", "No such user")}) as server:
        assert send(server) == {BOB: (550, b"5.1.1 No such user")}
        assert server.wait(1)[0].recipients == [ALICE]


@pytest.mark.parametrize(
    "key, code",
    [("MAIL", 451), ("MAIL me@example.com", 550), ("RCPT", 452), (f"RCPT {BOB}", 0), ("DATA", 554), ("MESSAGE", 554)],
)
def test_refuse_a_command(key: str, code: int) -> None:
    refusal = (code or 550, None, "No")
    with Server(refuse={key: refusal}, config=ehlo.ServerConfig(hostname="mx")) as server:
        if not code:
            assert list(send(server)) == [BOB]
            return
        with pytest.raises(smtplib.SMTPException) as caught:
            send(server)
        assert str(code) in str(caught.value) and server.messages == []
        server.refuse = None
        assert send(server) == {} and len(server.messages) == 1


def test_refuse_the_connection_and_the_hello() -> None:
    with Server(refuse={"CONNECT": (554, None, "No mail here")}) as server:
        with pytest.raises(smtplib.SMTPConnectError, match="554"):
            send(server)
    with Server(refuse={"EHLO": (502, None, "What?")}) as server:
        assert send(server) == {}
        assert "C: helo" in server.dialogue


def test_refuse_by_functions() -> None:
    def first_time(event: ehlo.RcptEvent) -> ehlo.testing.Refusal | None:
        seen.append(event.path.mailbox)
        return (451, "4.7.1", "Come back") if seen.count(event.path.mailbox) == 1 else None

    def all_events(event: Any) -> None:
        if isinstance(event, ehlo.MailEvent):
            raise ehlo.Reject(553, "5.1.8", "Not you")

    seen: list[str] = []
    with Server(refuse={BOB: first_time}) as server:
        assert send(server) == {BOB: (451, b"4.7.1 Come back")}
        assert send(server) == {}
        server.refuse = all_events
        with pytest.raises(smtplib.SMTPSenderRefused, match="Not you"):
            send(server)
    assert seen == [BOB, BOB]


def test_a_function_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Any) -> None:
        raise AssertionError("not as expected")

    with pytest.raises(AssertionError, match="not as expected"):
        with Server(refuse={BOB: broken}) as server:
            assert send(server)[BOB][0] == 451
            assert len(server.errors) == 1
    assert "raised AssertionError" in server.dialogue
    with pytest.raises(LookupError):  # what the block raises is not hidden by it
        with server:
            raise LookupError


@pytest.mark.parametrize("key", ["MIAL", "bob", "DATA bob", "FOO bob@example.org"])
def test_a_key_that_there_is_not(key: str) -> None:
    for options in ({"refuse": {key: (550, None, "")}}, {"delay": {key: 1}}, {"hang_up": key}):
        if key == "DATA bob" and "hang_up" not in options:
            continue
        with pytest.raises(ValueError):
            Server(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        Server(tls="yes")  # type: ignore[arg-type]


# ---- delay, hang up ----


def test_delay() -> None:
    with Server(delay={"MESSAGE": 0.3, BOB: lambda event: 0.2}) as server:
        begun = time.monotonic()
        assert send(server) == {}
        assert 0.5 <= time.monotonic() - begun < 5
        server.delay = 5
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            smtplib.SMTP(server.host, server.port, timeout=0.1)
    assert len(server.messages) == 1


@pytest.mark.parametrize("where", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "MESSAGE"])
def test_hang_up(where: str) -> None:
    with Server(hang_up=where) as server:
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            send(server)
        assert server.messages == []
        lines = server.dialogue.splitlines()
        assert any(f"hung up, at {where}" in line for line in lines)
        at = next(number for number, line in enumerate(lines) if "hung up" in line)
        assert lines[at + 1 :] in ([], ["1 -- the transaction ended: LOST"])
        server.hang_up = ()
        assert send(server) == {} and len(server.messages) == 1


def test_hang_up_in_a_pipeline() -> None:
    lines = ("EHLO x", "MAIL FROM:<a@example.org>", f"RCPT TO:<{BOB}>", "BDAT 3 LAST", "a")
    for where in ("RCPT", "BDAT", "BODY", "MESSAGE"):
        with Server(hang_up={where, "NOOP"}) as server:
            talk(server, *lines)
            assert server.messages == [] and f"hung up, at {where}" in server.dialogue
    with Server() as server:
        talk(server, *lines)
        assert len(server.messages) == 1


# ---- TLS, AUTH, LMTP, limits ----


def test_starttls() -> None:
    with Server(tls="starttls") as server, smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        client.starttls(context=server.client_context())
        client.send_message(message())
        (got,) = server.messages
        assert got.tls
    with pytest.raises(ehlo.StateError):
        server.cafile


def test_implicit_tls() -> None:
    with Server(tls="implicit") as server:
        assert Path(server.cafile).read_text().startswith("-----BEGIN CERTIFICATE")
        with smtplib.SMTP_SSL("localhost", server.port, timeout=10, context=server.client_context()) as client:
            client.send_message(message())
        assert server.messages[0].tls
        with pytest.raises(ssl.SSLCertVerificationError):
            smtplib.SMTP_SSL("localhost", server.port, timeout=10, context=ssl.create_default_context())


def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    from ehlo.testing import _certificate

    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for file, octets in zip(files, _certificate.make()):
        file.write_bytes(octets)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    for certificate in (files, context):
        with Server(tls="starttls", certificate=certificate) as server:
            with smtplib.SMTP("localhost", server.port, timeout=10) as client:
                client.starttls(context=ssl.create_default_context(cafile=files[0]))
                client.send_message(message())
            assert len(server.messages) == 1
            if certificate is context:
                with pytest.raises(ehlo.StateError):
                    server.client_context()


def test_no_openssl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ehlo.testing import _certificate

    _certificate.make.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    server = Server(tls="implicit")
    with pytest.raises(ehlo.testing.CertificateError, match="certificate=.*apt install openssl"):
        server.start()
    (tmp_path / "openssl").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    (tmp_path / "openssl").chmod(0o755)
    with pytest.raises(ehlo.testing.CertificateError, match="broken"):
        server.start()
    monkeypatch.undo()
    with server:
        pass


def test_auth() -> None:
    with Server(users={"me": "sesame"}, require_auth=True) as server:
        with smtplib.SMTP(server.host, server.port, timeout=10) as client:
            with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
                client.send_message(message())
            for name, password in (("me", "wrong"), ("you", "sesame")):
                with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
                    client.login(name, password)
            client.login("me", "sesame")
            client.send_message(message())
        assert server.messages[0].user == "me"


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_secrets_are_not_shown(mechanism: str) -> None:
    with Server(users={"me": "sesame"}, tls="starttls") as server:
        with smtplib.SMTP("localhost", server.port, timeout=10) as client:
            with pytest.raises(smtplib.SMTPNotSupportedError):
                client.login("me", "sesame")
            client.starttls(context=server.client_context())
            client.ehlo()
            client.user, client.password = "me", "sesame"
            for initial in (True, False):
                server.users = {} if initial else {"me": "sesame"}
                try:
                    client.auth(mechanism, getattr(client, f"auth_{mechanism}"), initial_response_ok=initial)
                except smtplib.SMTPAuthenticationError:
                    pass
            client.docmd("c2VzYW1l")  # that is said by clients that do not listen
        dialogue = server.dialogue
    assert f"C: AUTH {mechanism.upper()}" in dialogue and "S: 235" in dialogue and "S: 535" in dialogue
    for secret in ("c2VzYW1l", "AG1lAHNlc2FtZQ==", "sesame"):
        assert secret not in dialogue


def test_lmtp() -> None:
    refuse: Any = {f"MESSAGE {ALICE}": (452, "4.2.2", "Full"), "carol@example.org": (550, None, "Who?")}
    with Server(lmtp=True, refuse=refuse) as server:
        answer = talk(
            server,
            "LHLO x",
            "MAIL FROM:<>",
            *(f"RCPT TO:<{each}>" for each in ("carol@example.org", ALICE, BOB)),
            "DATA",
            "Subject: x",
            ".",
            "QUIT",
        )
        assert [line[:3] for line in answer.splitlines()][-4:] == ["354", "452", "250", "221"]
        (got,) = server.messages
    assert got.recipients == [BOB] and got.mail_from == ""
    assert "452 4.2.2 Full" in answer


def test_size() -> None:
    with Server(max_message_size=100) as server, smtplib.SMTP(server.host, server.port, timeout=10) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "100"
        with pytest.raises(smtplib.SMTPSenderRefused, match="552"):
            client.send_message(message())
        assert server.messages == []


def test_config() -> None:
    config = ehlo.ServerConfig(hostname="mx.example.net", withhold=(ehlo.Extension.PIPELINING,))
    with Server(config=config) as server, smtplib.SMTP(server.host, server.port, timeout=10) as client:
        assert client.ehlo()[1].startswith(b"mx.example.net") and not client.has_extn("pipelining")


def test_with_the_client_of_the_package() -> None:
    async def main() -> None:
        async with ehlo.aio.connect(
            "localhost", server.port, context=server.client_context(), user="me", password="sesame", starttls="require"
        ) as connection:
            result = await connection.send(message())
            assert result.accepted == [ALICE] and result.refused[BOB].code == 550

    refuse: Any = {BOB: (550, "5.1.1", "No such user")}
    with Server(tls="starttls", users={"me": "sesame"}, require_auth=True, refuse=refuse) as server:
        asyncio.run(main())
        (got,) = server.messages
    assert got.tls and got.user == "me" and got.message()["To"] == f"{ALICE}, {BOB}"
    assert "(octets" not in server.dialogue and "sesame" not in server.dialogue


def test_a_large_message() -> None:
    content = b"".join(b"%070d\r\n" % number for number in range(10000))
    with Server() as server, smtplib.SMTP(server.host, server.port, timeout=10) as client:
        client.sendmail("me@example.com", [ALICE], content)
        assert server.messages[0].content == content
        assert f"C: ({len(content)} octets of content)" in server.dialogue


# ---- what was said ----


def test_dialogue() -> None:
    with Server() as server:
        assert server.dialogue == ""
        send(server)
        talk(server, "EHLO x", "\x1b[31mred", "QUIT")
    first, second = ([line[2:] for line in server.dialogue.splitlines() if line[0] == number] for number in "12")
    assert first[0].startswith("-- connected from ('127.0.0.1', ") and first[1].startswith("S: 220 localhost")
    assert first[3] == "S: 250-localhost" and any(line.startswith("S: 250 ") for line in first[4:])
    at = next(number for number, line in enumerate(first) if line.startswith("C: mail"))
    assert [line[:6] for line in first[at : at + 8]] == ["C: mai", "S: 250", "C: rcp", "S: 250", "C: rcp", "S: 250", "C: dat", "S: 354"]
    assert first[at + 8] == f"C: ({len(server.messages[0].content)} octets of content)"
    assert [line[:6] for line in first[at + 9 :]] == ["S: 250", "C: QUI", "S: 221"]
    assert any(r"\x1b[31mred" in line for line in second) and "\x1b" not in server.dialogue


def test_a_long_dialogue_is_cut() -> None:
    with Server() as server:
        talk(server, "EHLO x", *["NOOP"] * 1500, "QUIT")
    lines = server.dialogue.splitlines()
    assert len(lines) == 2001 and lines[0].endswith("lines before)") and lines[-1].startswith("1 S: 221")


def test_the_dialogue_is_printed_when_the_block_raises(capsys: pytest.CaptureFixture[str]) -> None:
    with Server() as server:
        send(server)
    assert capsys.readouterr().err == ""
    with pytest.raises(LookupError):
        with Server() as server:
            send(server)
            raise LookupError
    said = capsys.readouterr().err
    assert f"SMTP at 127.0.0.1:{server.port}" in said and "1 C: mail FROM:<me@example.com>" in said


# ---- life ----


def test_start_and_stop() -> None:
    server = Server()
    server.stop()
    server.start()
    with pytest.raises(ehlo.StateError):
        server.start()
    port = server.port
    send(server)
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        raw(server)
    server.start()  # where it was
    assert server.port == port and send(server) == {} and len(server.messages) == 2
    with pytest.raises(OSError):
        Server(port=port).start()
    server.stop()


def test_servers_side_by_side() -> None:
    with Server() as one, Server() as two:
        send(one)
        assert len(one.messages) == 1 and two.messages == [] and one.port != two.port


@pytest.mark.parametrize("tls", [None, "starttls", "implicit"])
def test_it_stops_at_once_whatever_goes_on(tls: Any) -> None:
    server = Server(delay={"MESSAGE": 60, "MAIL slow@example.org": 60}, tls=tls)
    server.start()
    content = ("DATA", "Subject: x", "", "x" * 70)
    begin = ("EHLO x", "MAIL FROM:<a@example.org>", f"RCPT TO:<{BOB}>")
    connections = [raw(server) for _ in range(6)]
    said = [(), ("EHLO x",), ("EHLO x", "MAIL FROM:<slow@example.org>"), (*begin, *content), (*begin, *content, "."), ("EHLO x", "STARTTLS")]
    for connection, lines in zip(connections, said):
        if tls == "implicit":  # a handshake that does not come to its end
            continue
        connection.sendall("".join(line + "\r\n" for line in lines).encode())
    if tls is not None:
        tls_client = smtplib.SMTP_SSL if tls == "implicit" else smtplib.SMTP
        options: Any = {"context": server.client_context()} if tls == "implicit" else {}
        client = tls_client("localhost", server.port, timeout=10, **options)
        client.ehlo()
        if tls == "starttls":
            client.starttls(context=server.client_context())
        connections.append(client.sock)
    time.sleep(0.2)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 2
    assert server.messages == []
    for connection in connections:
        connection.close()
    if tls is not None:
        client.close()


# ---- the fixture ----


def test_the_fixture(smtp_server: Server) -> None:
    send(smtp_server)
    assert smtp_server.wait(1)[0].recipients == [ALICE, BOB]


@pytest.mark.smtp_server(refuse={BOB: (550, "5.1.1", "No such user")})
def test_the_marker(smtp_server: Server) -> None:
    assert list(send(smtp_server)) == [BOB]


def test_the_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import smtplib
        import pytest

        def send(server):
            with smtplib.SMTP(server.host, server.port, timeout=10) as client:
                client.sendmail("me@example.com", "bob@example.org", "Hello")

        def test_good(smtp_server):
            send(smtp_server)

        @pytest.mark.smtp_server(hang_up="QUIT")
        def test_bad(smtp_server):
            with pytest.raises(smtplib.SMTPServerDisconnected):
                send(smtp_server)
            assert len(smtp_server.messages) == 2

        def broken(event):
            raise LookupError("in the function")

        @pytest.mark.smtp_server(refuse=broken)
        def test_function(smtp_server):
            with pytest.raises(smtplib.SMTPException):
                send(smtp_server)
        """
    )
    result = pytester.runpytest("--strict-markers", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*Captured SMTP dialogue teardown*", "1 C: mail FROM:<me@example.com>*", "1 -- hung up, at QUIT"]
    )
    assert result.stdout.str().count("Captured SMTP dialogue") == 2  # not of the test that passed
    assert "LookupError: in the function" in result.stdout.str()
