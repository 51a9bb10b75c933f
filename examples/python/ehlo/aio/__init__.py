"""SMTP on asyncio, both ends: `serve` and `send`."""

from ..errors import Reject
from ._connection import ServerSession
from ._envelope import Envelope
from ._serve import Server, serve

__all__ = ["Envelope", "Reject", "Server", "ServerSession", "serve"]
