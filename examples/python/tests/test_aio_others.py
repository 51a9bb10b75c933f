"""ehlo.aio with the programs of others: smtplib, swaks, aiosmtpd, Postfix's smtp-sink and smtp-source."""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import smtplib
import socket
import ssl
import subprocess
import time
from email.message import EmailMessage
from typing import Any

import pytest

import ehlo
import ehlo.aio
from aio import CONTENT, Inbox, certificate, serve
from ehlo.enums import Extension, Mechanism

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"))


class Users(Inbox):
    def on_auth(self, event: ehlo.AuthEvent) -> None:
        if (event.credentials.authcid, event.credentials.secret) == ("tim", "tanstaaf"):
            event.accept()
        else:
            event.reject()


SUBMISSION = ehlo.ServerConfig(
    hostname="mx.example.org", preset=ehlo.Preset.SUBMISSION, mechanisms=[Mechanism.PLAIN, Mechanism.LOGIN]
)


def test_smtplib(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    def talk(port: int) -> None:
        with smtplib.SMTP("localhost", port) as client:
            client.starttls(context=contexts[1])
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.sendmail("a@example.org", "b@example.org", CONTENT)
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("tim", "wrong")
            client.login("tim", "tanstaaf")
            for size in (1, 1_000_000):
                refused = client.sendmail(
                    "a@example.org", ["b@example.org", "refused@example.org"], CONTENT + b"x\r\n" * size
                )
                assert refused == {"refused@example.org": (550, b"5.1.1 No such user")}
            message = EmailMessage()
            message["From"], message["To"] = "ä@example.org", "b@example.org"
            message.set_content("Größe")
            client.send_message(message)

    async def main() -> None:
        users = Users()
        async with serve(users, host="localhost", starttls=contexts[0], config=SUBMISSION) as server:
            await asyncio.to_thread(talk, server.port)
        assert [len(each.content) for each in users.envelopes][:2] == [len(CONTENT) + 3, len(CONTENT) + 3_000_000]
        assert users.envelopes[0].user == "tim" and users.envelopes[2].mail_from == "ä@example.org"

    asyncio.run(main())


def test_swaks() -> None:
    swaks = program("swaks")

    async def main() -> None:
        users = Users()
        # Without TLS, which its package leaves to one that may not be there.
        clear = ehlo.ServerConfig(
            hostname="mx.example.org", offer=[Extension.AUTH], mechanisms=[Mechanism.LOGIN], allow_plaintext_auth=True
        )
        async with serve(users, config=clear) as server:
            options = ["--server", "127.0.0.1", "--port", str(server.port), "--from", "a@example.org"]
            options += ["--to", "b@example.org", "--auth", "LOGIN", "--auth-user", "tim"]
            for password, status in (("tanstaaf", 0), ("wrong", 28)):
                process = await asyncio.create_subprocess_exec(
                    swaks, *options, "--auth-password", password, stdout=subprocess.PIPE
                )
                output, _ = await process.communicate()
                assert process.returncode == status, output
        (envelope,) = users.envelopes
        assert envelope.user == "tim" and envelope.recipients == ["b@example.org"]
        config = ehlo.ServerConfig(hostname="mx.example.org", preset=ehlo.Preset.LMTP)
        async with serve(users, config=config) as server:
            options = ["--protocol", "LMTP", "--server", "127.0.0.1", "--port", str(server.port)]
            options += ["--from", "a@example.org", "--to", "b@example.org,c@example.org"]
            process = await asyncio.create_subprocess_exec(swaks, *options, stdout=subprocess.PIPE)
            output, _ = await process.communicate()
            assert process.returncode == 0, output
        assert users.envelopes[-1].recipients == ["b@example.org", "c@example.org"]

    asyncio.run(main())


def test_smtp_source() -> None:
    source = program("smtp-source")

    async def main() -> None:
        inbox = Inbox()
        async with serve(inbox) as server:
            options = "-s 20 -m 200 -r 3 -l 5000 -f a@example.org -t b@example.org".split()
            process = await asyncio.create_subprocess_exec(source, *options, f"127.0.0.1:{server.port}")
            assert await process.wait() == 0
        assert len(inbox.envelopes) == 200 and all(len(each.recipients) == 3 for each in inbox.envelopes)

    asyncio.run(main())


def test_aiosmtpd(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    controller = pytest.importorskip("aiosmtpd.controller")
    smtp = pytest.importorskip("aiosmtpd.smtp")

    class Handler:
        envelopes: list[Any] = []

        async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
            if address.startswith("refused"):
                return "550 5.1.1 No such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            self.envelopes.append(envelope)
            return "250 Taken"

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        return smtp.AuthResult(success=data.password == b"tanstaaf", handled=False)

    handler = Handler()
    server = controller.Controller(
        handler,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=contexts[0],
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
        enable_SMTPUTF8=True,
    )
    server.start()

    async def main() -> None:
        options: dict[str, Any] = {"context": contexts[1], "server_hostname": "localhost", "starttls": "require"}
        async with ehlo.aio.connect(
            "127.0.0.1", server.port, user="tim", password="tanstaaf", config="client.example.org", **options
        ) as connection:
            for size in (0, 300_000):
                result = await connection.send(
                    CONTENT + b"x\r\n" * size,
                    sender="ä@example.org",
                    recipients=["b@example.org", "refused@example.org"],
                )
                assert result.accepted == ["b@example.org"] and result.refused["refused@example.org"].code == 550
        with pytest.raises(ehlo.AuthenticationError):
            await ehlo.aio.connect("127.0.0.1", server.port, user="tim", password="wrong", **options)

    try:
        asyncio.run(main())
    finally:
        server.stop()
    assert [each.original_content for each in handler.envelopes] == [CONTENT, CONTENT + b"x\r\n" * 300_000]
    assert handler.envelopes[0].mail_from == "ä@example.org" and handler.envelopes[0].smtp_utf8


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("lmtp", [False, True])
def test_smtp_sink(lmtp: bool, tmp_path: pathlib.Path) -> None:
    sink, port = program("smtp-sink"), free_port()
    # As root it wants to be told who to be.
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([sink, *user, *(["-L"] if lmtp else []), f"127.0.0.1:{port}", "100"])
    try:

        async def main() -> None:
            async with asyncio.timeout(20):
                async with ehlo.aio.connect("127.0.0.1", port, lmtp=lmtp, config="client.example.org") as connection:
                    assert connection.session.offers(Extension.PIPELINING)
                    for _ in range(50):
                        names = ["b@example.org", "c@example.org"]
                        result = await connection.send(CONTENT * 1000, sender="a@example.org", recipients=names)
                        assert result.accepted == names

        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        asyncio.run(main())
    finally:
        process.terminate()
        process.wait()
