"""A certificate for this machine, made when it is needed."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import tempfile

from ..errors import Error


class CertificateError(Error):
    """No certificate can be made."""


@functools.cache
def make() -> tuple[bytes, bytes]:
    """A certificate that is its own authority, and its key: for "localhost", 127.0.0.1 and ::1. One for each process."""
    with tempfile.TemporaryDirectory(prefix="ehlo-") as directory:
        certificate, key = pathlib.Path(directory, "certificate.pem"), pathlib.Path(directory, "key.pem")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        try:
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise CertificateError(
                "TLS needs a certificate: give certificate=(file, file of the key), or install the program openssl, "
                "by which one is made (on Debian: apt install openssl)"
            ) from None
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            raise CertificateError(f"openssl makes no certificate; give certificate=(file, file of the key): {said}") from None
        return certificate.read_bytes(), key.read_bytes()
