"""What the tests of publishing share: one root, its files, and the run of a job."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.fixture
def files(root: Path) -> Iterator[LocalFiles]:
    files = LocalFiles([root], log=folder_log())
    yield files
    files.close()


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path, job_id="job_1", epoch=7)
