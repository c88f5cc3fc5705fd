"""Buckets over a local S3, and runs that write to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from secondunit.handlers.tools.buckets import Buckets
from secondunit.handlers.tools.s3_client import S3
from secondunit.testing.handler_kit import FakeContext
from tests.local_s3 import LocalS3, local_s3


@pytest.fixture(scope="session")
def server() -> Iterator[LocalS3]:
    with local_s3() as server:
        yield server


@pytest.fixture
def bucket(server: LocalS3) -> str:
    return server.bucket()


@pytest.fixture
def buckets(server: LocalS3, bucket: str) -> Buckets:
    return Buckets(S3(server.environment()), [bucket], 1 << 30)


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path / "job")
