"""Boxes: daemons that share a queue in PostgreSQL, each with a folder of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon, starting
from tests.postgres_server import PostgresServer, started


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return started()


@pytest.fixture
def queue(server: PostgresServer) -> str:
    return server.database()


@pytest.fixture
def start(tmp_path: Path, queue: str) -> Iterator[Any]:
    """Starts the daemon of a box, in a folder of the box's own."""
    with starting(tmp_path) as start:

        def of(box: str, **environ: str) -> Daemon:
            settings = {"BOX": box, "DATA_DIR": str(tmp_path / box), "QUEUE_URL": queue, "LEASE_SECONDS": "5"}
            return start(**settings | environ)

        yield of
