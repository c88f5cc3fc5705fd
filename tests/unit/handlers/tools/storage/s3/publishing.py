"""Publishing folders to a bucket, and what lies there afterwards."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secondunit.handlers.tools.storage.s3.client import S3
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.testing.handler_kit import FakeContext
from tests.local_s3 import LocalS3


async def run(folder: Path, *, job: str = "job_a", epoch: int = 1) -> FakeContext:
    return await FakeContext.open(folder / f"{job}-{epoch}", job_id=job, epoch=epoch)


async def publish(buckets: Buckets, path: str, ctx: FakeContext, *, segments: int = 3) -> dict[str, int]:
    """Publish a stream that tells of the run that made it; its files."""
    async with buckets.folder(path, ctx) as staged:
        files = await asyncio.to_thread(write, staged.path, staged.inner, segments)
        await staged.publish({"files": files, "by": staged.inner})
    return files


async def sweep(buckets: Buckets, folders: MemoryFolders) -> None:
    """As the janitor does it, ten minutes later."""
    for replaced in await folders.replaced(datetime.max.replace(tzinfo=UTC), 9):
        await buckets.sweep(replaced)


def write(home: Path, inner: str, segments: int) -> dict[str, int]:
    names = [f"{inner}1080p/{number:05}.m4s" for number in range(segments)]
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    (home / "master.m3u8").write_text("\n".join(names))
    return {name: (home / name).stat().st_size for name in [*names, "master.m3u8"]}


def whole(server: LocalS3, home: str) -> list[str]:
    """The names that the master leads to, each of them there."""
    names = (server.get(f"{home}/master.m3u8") or b"").decode().split()
    assert [server.get(f"{home}/{name}") for name in names] == [name.encode() for name in names]
    return names


async def nothing() -> None: ...


class Listed(S3):
    """Writes down what is written and removed."""

    def __init__(self, server: LocalS3, bucket: str) -> None:
        super().__init__(server.environment())
        self.calls: list[str] = []
        self.before_put = self.after_put = nothing

    async def put(self, s3_path: Any, *args: Any, **kwargs: Any) -> str:
        await self.before_put()
        self.calls.append(f"put {s3_path.key}")
        etag = await super().put(s3_path, *args, **kwargs)
        await self.after_put()
        return etag

    async def remove(self, s3_paths: Any) -> None:
        self.calls.append(f"remove {len(s3_paths)}")
        await super().remove(s3_paths)
