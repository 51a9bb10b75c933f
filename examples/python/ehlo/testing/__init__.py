"""SMTP servers for tests: `with ehlo.testing.Server() as server: ...`. In pytest also the fixture `smtp_server`."""

from ..aio import Envelope
from ._certificate import CertificateError
from ._rules import Refusal
from ._server import Server

__all__ = ["CertificateError", "Envelope", "Refusal", "Server"]
