"""Logging in: which mechanism, and what is said in those that the library leaves to its host."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from collections.abc import Awaitable, Callable, Iterable

from ..enums import Mechanism, Verb
from ..errors import AuthenticationError, HostError
from ..values import Credentials
from ._wire import Wire

# What is known, the strongest first: those that show the server nothing that it could use elsewhere.
_BY_PASSWORD = (
    Mechanism.SCRAM_SHA_256,
    Mechanism.SCRAM_SHA_1,
    Mechanism.CRAM_MD5,
    Mechanism.PLAIN,
    Mechanism.LOGIN,
)
_BY_TOKEN = (Mechanism.OAUTHBEARER, Mechanism.XOAUTH2)
_HASHES = {Mechanism.SCRAM_SHA_256: "sha256", Mechanism.SCRAM_SHA_1: "sha1"}
# "Wrong password" is the answer to all of them; these say that it was the mechanism.
_ANOTHER = {504, 534, 538}
# More than that many rounds are no server's that means well: minutes of this host's time.
_ROUNDS = 10_000_000
_QUICK_ROUNDS = 20_000


async def login(
    wire: Wire,
    user: str,
    password: str | None,
    token: str | None,
    authzid: str,
    mechanisms: Iterable[Mechanism] | None,
    host: str,
    port: int,
) -> None:
    """Raises AuthenticationError, ConnectionLost."""
    offered = wire.client.mechanisms
    if mechanisms is None:
        mechanisms = [
            *(_BY_TOKEN if token is not None else ()),
            *(_BY_PASSWORD if password is not None else ()),
            *((Mechanism.EXTERNAL,) if token is None and password is None else ()),
        ]
    common = [mechanism for mechanism in mechanisms if mechanism in offered]
    if not common:
        names = ", ".join(sorted(mechanism.name for mechanism in offered)) or "none"
        raise AuthenticationError(f"no mechanism that both know; the server has {names}")
    failed: AuthenticationError | None = None
    for mechanism in common:
        try:
            if mechanism in _HASHES:
                await _scram(wire, mechanism, user, password or "", authzid)
            elif mechanism == Mechanism.CRAM_MD5:
                await _cram_md5(wire, user, password or "")
            else:
                secret = token if mechanism in _BY_TOKEN else password
                await _plain(wire, Credentials(mechanism, user, secret or "", authzid, host, port))
            return
        except HostError as error:
            failed = AuthenticationError(f"{mechanism.name}: {error}")
            failed.__cause__ = error
        except AuthenticationError as error:
            if error.reply is None or error.reply.code not in _ANOTHER:
                raise
            failed = error
    assert failed is not None
    raise failed


async def _plain(wire: Wire, credentials: Credentials) -> None:
    """What the library leads."""
    wire.challenges.clear()
    reply = await wire.ask(Verb.AUTH, lambda: wire.client.auth(credentials))
    if reply.code // 100 != 2:
        raise AuthenticationError(f"{credentials.mechanism.name} failed", reply)


async def _exchange(
    wire: Wire, mechanism: Mechanism, initial: bytes | None, answer: Callable[[bytes], Awaitable[bytes]]
) -> None:
    """Each challenge is given to `answer`, until the server is content. What that raises ends the exchange."""
    client = wire.client
    name = mechanism.name.replace("_", "-")
    wire.challenges.clear()
    wire.replies.pop(Verb.AUTH, None)
    await wire.say(lambda: client.auth_begin(name, initial))
    while True:
        await wire.until(lambda: wire.challenges or Verb.AUTH in wire.replies)
        if not wire.challenges:
            break
        challenge = wire.challenges.pop(0)
        try:
            response = await answer(challenge)
        except Exception:
            await wire.ask(Verb.AUTH, client.auth_cancel)
            raise
        await wire.say(lambda: client.auth_respond(response))
    reply = wire.replies[Verb.AUTH]
    if reply.code // 100 != 2:
        raise AuthenticationError(f"{name} failed", reply)


async def _cram_md5(wire: Wire, user: str, password: str) -> None:
    """RFC 2195."""
    try:
        hmac.new(b"", b"", "md5")
    except ValueError as error:  # where the system forbids it
        raise HostError("no MD5 here") from error

    async def answer(challenge: bytes) -> bytes:
        return f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}".encode()

    await _exchange(wire, Mechanism.CRAM_MD5, None, answer)


async def _scram(wire: Wire, mechanism: Mechanism, user: str, password: str, authzid: str) -> None:
    scram = Scram(_HASHES[mechanism], user, password, authzid)
    await _exchange(wire, mechanism, scram.first, scram.answer)
    if not scram.verified:
        wire.abort()
        raise AuthenticationError("the server has not proved that it knows the password")


class Scram:
    """SCRAM without channel binding (RFC 5802)."""

    def __init__(self, name: str, user: str, password: str, authzid: str = "", nonce: str | None = None) -> None:
        self._name = name
        self._password = prepared(password).encode()
        self._nonce = nonce or base64.b64encode(secrets.token_bytes(18)).decode()
        self._bare = f"n={_escaped(prepared(user))},r={self._nonce}"
        self._header = f"n,{'a=' + _escaped(prepared(authzid)) if authzid else ''},"
        #: The first message.
        self.first = (self._header + self._bare).encode()
        self._signature: bytes | None = None
        #: Has the server proved that it knows the password?
        self.verified = False

    async def answer(self, challenge: bytes) -> bytes:
        """Raises AuthenticationError for a server that says what it may not."""
        try:
            if self._signature is None:
                return await self._final(challenge)
            fields = _fields(challenge)
            signature = base64.b64decode(fields["v"], validate=True)
        except (KeyError, ValueError) as error:
            raise AuthenticationError("the server breaks SCRAM") from error
        if not hmac.compare_digest(signature, self._signature):
            raise AuthenticationError("the server does not know the password")
        self.verified = True
        return b""

    async def _final(self, challenge: bytes) -> bytes:
        fields = _fields(challenge)
        nonce, salt, rounds = fields["r"], base64.b64decode(fields["s"], validate=True), int(fields["i"])
        if "m" in fields or not nonce.startswith(self._nonce) or nonce == self._nonce or not 1 <= rounds <= _ROUNDS:
            raise ValueError(challenge)
        if rounds <= _QUICK_ROUNDS:
            salted = hashlib.pbkdf2_hmac(self._name, self._password, salt, rounds)
        else:
            salted = await asyncio.get_running_loop().run_in_executor(
                None, hashlib.pbkdf2_hmac, self._name, self._password, salt, rounds
            )
        final = f"c={base64.b64encode(self._header.encode()).decode()},r={nonce}"
        message = f"{self._bare},{challenge.decode()},{final}".encode()
        key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self._name, key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self._signature = self._mac(self._mac(salted, b"Server Key"), message)
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def _mac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self._name).digest()


def _fields(message: bytes) -> dict[str, str]:
    return {part[0]: part[2:] for part in message.decode().split(",") if part[1:2] == "="}


def _escaped(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def prepared(text: str) -> str:
    """SASLprep (RFC 4013), for a name or a password. Raises AuthenticationError for what it forbids."""
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each for each in text if not stringprep.in_table_b1(each)
    )
    result = unicodedata.normalize("NFKC", mapped)
    forbidden = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    right_to_left = any(stringprep.in_table_d1(each) for each in result)
    mixed = right_to_left and (
        any(stringprep.in_table_d2(each) for each in result)
        or not (stringprep.in_table_d1(result[0]) and stringprep.in_table_d1(result[-1]))
    )
    if mixed or any(test(each) for each in result for test in forbidden):
        raise AuthenticationError("a name or password with characters that SASLprep forbids")
    return result
