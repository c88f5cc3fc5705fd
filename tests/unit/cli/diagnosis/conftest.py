"""Situations that doctor looks at."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondunit.cli.diagnosis import situation
from secondunit.cli.diagnosis.situation import Situation
from secondunit.cli.host.units import Layout
from secondunit.queue.stores.sqlite.store import open_store
from tests.unit.cli.diagnosis.situations import Box


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """That of this process, which a command that runs in it may change."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A queue's database, closed."""
    path = tmp_path_factory.mktemp("made") / "queue.db"

    async def made() -> None:
        await (await open_store(path)).close()

    asyncio.run(made())
    return path.read_bytes()


@pytest.fixture
def box(tmp_path: Path, database: bytes) -> Box:
    """A box that is well, with these variables: its folders, and its database, which nobody has open."""
    data = tmp_path / "data"
    (data / "media").mkdir(parents=True)
    (data / "queue.db").write_bytes(database)
    for name in ("queue.db.exists", "queue.db.ballast"):
        (data / name).touch()
    data.chmod(0o700)
    (data / "queue.db").chmod(0o600)

    def looked(**environ: str) -> Situation:
        layout = Layout(tmp_path / "root")
        given = {"DATA_DIR": str(data), "SECONDUNIT_CONFIG": os.devnull, **environ}
        return asyncio.run(situation.found(given, layout, {}))

    return looked
