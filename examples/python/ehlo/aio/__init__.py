"""SMTP on asyncio, both ends: `serve` takes mail, `send` and `connect` send it."""

from ..errors import Reject
from ._client import Connection, Result
from ._connect import connect, send
from ._connection import ServerSession
from ._envelope import Envelope
from ._serve import Server, serve

__all__ = ["Connection", "Envelope", "Reject", "Result", "Server", "ServerSession", "connect", "send", "serve"]
