"""The fixture `smtp_server`, a plugin for pytest that is found where the package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import Server


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "smtp_server(**options): what the fixture smtp_server gives to ehlo.testing.Server")


@pytest.fixture
def smtp_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """An ehlo.testing.Server that runs; its options are those of the marker `smtp_server`. If the test fails the report
    shows the dialogue."""
    from .testing import Server  # not in runs that never ask for it

    marker = request.node.get_closest_marker("smtp_server")
    server = Server(**(marker.kwargs if marker is not None else {}))
    server.start()
    try:
        yield server
    finally:
        try:
            server.stop()
        finally:
            request.node.add_report_section("teardown", "SMTP dialogue", server.dialogue or "(nobody has connected)\n")
