"""Streams in buckets that others write to as well, lost leases, killed runs, failing uploads."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.handlers.tools.storage.s3.client import S3
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.queue.errors import LeaseLost
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.testing.clock import ManualClock
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext
from tests.local_s3 import LocalS3
from tests.unit.handlers.tools.storage.s3.publishing import Listed, publish, run, sweep, whole, write

pytestmark = pytest.mark.slow


async def test_what_comes_in_between_is_not_overwritten(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    async with buckets.folder(f"s3://{bucket}/film", await run(tmp_path)) as staged:
        server.put(f"{bucket}/film/master.m3u8", b"theirs")
        await asyncio.to_thread(write, staged.path, staged.inner, 1)
        with pytest.raises(Deterministic, match="did not make"):
            await staged.publish({})
    assert server.keys(bucket) == ["film/master.m3u8"]


async def test_a_run_that_lost_its_lease_publishes_nothing_and_takes_its_files_along(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    path = f"s3://{bucket}/film"
    newer = await run(tmp_path, epoch=2)

    class Overtaken(FakeContext):
        async def stats(self, **figures: Any) -> None:
            await publish(buckets, path, newer)
            raise LeaseLost("job_a", 1)

    ctx = Overtaken((await run(tmp_path)).workspace, job_id="job_a", attempt=1, epoch=1, labels={})
    with pytest.raises(LeaseLost):
        await publish(buckets, path, ctx)
    assert all(name.startswith("v-job_a-2/") for name in whole(server, f"{bucket}/film"))
    assert not [key for key in server.keys(bucket) if "v-job_a-1" in key]


async def test_a_run_that_is_superseded_after_it_looked_at_its_lease_does_not_lead_back(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    path = f"s3://{bucket}/film"
    newer = await run(tmp_path, epoch=2)

    class Frozen(FakeContext):
        looked = False

        async def stats(self, **figures: Any) -> None:
            if self.looked:
                raise LeaseLost("job_a", 1)
            self.looked = True
            await publish(buckets, path, newer)

    ctx = Frozen((await run(tmp_path)).workspace, job_id="job_a", attempt=1, epoch=1, labels={})
    with pytest.raises(LeaseLost):
        await publish(buckets, path, ctx)
    assert all(name.startswith("v-job_a-2/") for name in whole(server, f"{bucket}/film"))


async def test_two_jobs_may_publish_to_one_place_and_one_of_them_is_whole(
    server: LocalS3, bucket: str, tmp_path: Path
) -> None:
    folders, path = MemoryFolders(), f"s3://{bucket}/film"
    buckets = Buckets(S3(server.environment()), [bucket], 1 << 20, FolderLog(folders, ManualClock()))
    runs = [await run(tmp_path, job=f"job_{name}") for name in "abc"]
    await asyncio.gather(*(publish(buckets, path, ctx) for ctx in runs))
    await sweep(buckets, folders)
    assert len(whole(server, f"{bucket}/film")) == 3 and len(server.keys(bucket)) == 5


async def test_what_a_killed_run_left_goes_with_the_jobs_next_one(server: LocalS3, bucket: str, tmp_path: Path) -> None:
    folders = MemoryFolders()
    buckets = Buckets(S3(server.environment()), [bucket], 1 << 20, FolderLog(folders, ManualClock()))
    server.put(f"{bucket}/film/v-job_a-1/1080p/00000.m4s", b"of the run that was killed")
    server.put(f"{bucket}/film/v-job_b-1/1080p/00000.m4s", b"of a job that may be running elsewhere")
    await publish(buckets, f"s3://{bucket}/film", await run(tmp_path, epoch=2))
    await sweep(buckets, folders)
    left = {key.split("/")[1] for key in server.keys(bucket)}
    assert left == {"master.m3u8", "v-job_a-2", "v-job_b-1"}


async def test_a_failing_upload_leaves_nothing_behind(server: LocalS3, bucket: str, tmp_path: Path) -> None:
    s3 = Listed(server, bucket)
    puts = 0

    async def fail_the_third() -> None:
        nonlocal puts
        puts += 1
        if puts == 3:
            raise Transient("S3 is away")

    s3.before_put = fail_the_third
    with pytest.raises(Transient, match="S3 is away"):
        await publish(Buckets(s3, [bucket], 1, folder_log()), f"s3://{bucket}/film", await run(tmp_path), segments=9)
    assert server.keys(bucket) == []


async def test_when_nobody_knows_whether_the_master_arrived_nothing_is_removed(
    server: LocalS3, bucket: str, tmp_path: Path
) -> None:
    s3 = Listed(server, bucket)

    async def cut() -> None:
        if s3.calls[-1] == "put film/master.m3u8":
            raise Transient("the answer was lost")

    s3.after_put = cut
    with pytest.raises(Transient, match="was lost"):
        await publish(Buckets(s3, [bucket], 1, folder_log()), f"s3://{bucket}/film", await run(tmp_path))
    assert len(whole(server, f"{bucket}/film")) == 3
