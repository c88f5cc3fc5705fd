"""Buckets over a local S3, and runs that write to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secondunit.handlers.tools.storage.s3.client import S3
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext

if TYPE_CHECKING:
    from tests.local_s3 import LocalS3


@pytest.fixture(scope="session")
def server() -> Iterator["LocalS3"]:
    from tests.local_s3 import local_s3  # which most tests here can do without, and the planted bugs' have not

    with local_s3() as server:
        yield server


@pytest.fixture
def bucket(server: "LocalS3") -> str:
    return server.bucket()


@pytest.fixture
def buckets(server: "LocalS3", bucket: str) -> Buckets:
    return Buckets(S3(server.environment()), [bucket], 1 << 30, folder_log())


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path / "job")
