"""Streams in buckets: the master playlist decides, and what it leads to is always there."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.handlers.tools.storage.s3.client import S3
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.queue.outcome import Deterministic
from secondunit.queue.ports.folders import Replaced
from secondunit.queue.stores.memory_ports import MemoryFolders
from secondunit.testing.clock import ManualClock
from secondunit.testing.folder_log import folder_log
from secondunit.testing.jobs import NOW
from tests.local_s3 import LocalS3
from tests.unit.handlers.tools.storage.s3.publishing import Listed, publish, run, sweep, whole

pytestmark = pytest.mark.slow


async def test_a_stream_lies_in_a_generation_of_its_own_beside_the_master(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    ctx = await run(tmp_path)
    await publish(buckets, f"s3://{bucket}/film/", ctx)
    assert whole(server, f"{bucket}/film") == [f"v-job_a-1/1080p/0000{number}.m4s" for number in range(3)]
    assert server.keys(bucket)[0] == "film/master.m3u8" and len(server.keys(bucket)) == 5
    assert server.head(f"{bucket}/film/master.m3u8")["content-type"] == "application/vnd.apple.mpegurl"
    assert server.head(f"{bucket}/film/v-job_a-1/1080p/00000.m4s")["content-type"] == "video/iso.segment"
    assert json.loads(server.get(f"{bucket}/film/v-job_a-1/manifest.json") or b"")["madeBy"] == "secondunit"
    assert list(ctx.workspace.run.iterdir()) == []


async def test_the_master_is_put_last_and_the_old_generation_goes_after_it(
    server: LocalS3, bucket: str, tmp_path: Path
) -> None:
    s3, folders = Listed(server, bucket), MemoryFolders()
    buckets = Buckets(s3, [bucket], 1 << 20, FolderLog(folders, ManualClock()))
    await publish(buckets, f"s3://{bucket}/film", await run(tmp_path, job="job_old"), segments=5)
    s3.calls.clear()
    await publish(buckets, f"s3://{bucket}/film", await run(tmp_path))
    *puts, manifest, master = s3.calls
    assert sorted(puts) == [f"put film/v-job_a-1/1080p/0000{number}.m4s" for number in range(3)]
    assert (manifest, master) == ("put film/v-job_a-1/manifest.json", "put film/master.m3u8")
    assert all(name.startswith("v-job_a-1/") for name in whole(server, f"{bucket}/film"))
    assert len(server.keys(bucket)) == 5 + 6, "a player may still read what the old master leads to"
    await sweep(buckets, folders)
    assert s3.calls[-1] == "remove 6" and len(server.keys(bucket)) == 5


async def test_what_was_replaced_is_known_before_the_master_is_put_and_again_when_it_stands(
    server: LocalS3, bucket: str, tmp_path: Path
) -> None:
    s3, folders, clock = Listed(server, bucket), MemoryFolders(), ManualClock()
    buckets, path = Buckets(s3, [bucket], 1 << 20, FolderLog(folders, clock)), f"s3://{bucket}/film"
    await publish(buckets, path, await run(tmp_path, job="job_old"))
    known: list[Replaced] = []

    async def look() -> None:
        if s3.calls[-1].endswith("manifest.json"):
            known.extend(await folders.replaced(datetime.max.replace(tzinfo=UTC), 9))
            await clock.advance(60)

    s3.before_put = look
    await publish(buckets, path, await run(tmp_path))
    [after] = await folders.replaced(datetime.max.replace(tzinfo=UTC), 9)
    assert known == [Replaced(path, "v-job_old-1", ["v-job_old-1"], after.at - timedelta(minutes=1))]
    assert after == Replaced(path, "v-job_old-1", ["v-job_old-1"], clock.now())


@pytest.mark.parametrize("back", ["as it was", "as a copy", "under way"])
async def test_a_generation_that_a_master_leads_to_again_is_not_removed(
    server: LocalS3, bucket: str, tmp_path: Path, back: str
) -> None:
    folders = MemoryFolders()
    buckets = Buckets(S3(server.environment()), [bucket], 1 << 20, FolderLog(folders, ManualClock()))
    path, master = f"s3://{bucket}/film", f"{bucket}/film/master.m3u8"
    await publish(buckets, path, await run(tmp_path, job="job_old"))
    before, marks = server.get(master) or b"", {"x-amz-meta-secondunit-folder": "v-job_old-1"}
    await publish(buckets, path, await run(tmp_path))
    notes = await folders.replaced(datetime.max.replace(tzinfo=UTC), 9)
    if back == "under way":  # killed before the new master was put
        marks |= {"x-amz-meta-secondunit-job": "job_old", "x-amz-meta-secondunit-epoch": "1"}
    server.put(master, before, **({} if back == "as a copy" else marks))
    for note in notes:
        await buckets.sweep(note)
    assert whole(server, f"{bucket}/film")[0].startswith("v-job_old-1/")


async def test_nothing_but_a_generation_is_swept(server: LocalS3, bucket: str, buckets: Buckets) -> None:
    server.put(f"{bucket}/film/photos/a.jpg", b"theirs")
    await buckets.sweep(Replaced(f"s3://{bucket}/film", "photos", ["photos", "", "v-mine"], NOW))
    await buckets.sweep(Replaced("s3://elsewhere/film", "v-job_a-1", ["v-job_a-1"], NOW))
    assert server.keys(bucket) == ["film/photos/a.jpg"]


async def test_while_a_new_run_uploads_the_old_master_leads_to_what_is_there(
    server: LocalS3, bucket: str, tmp_path: Path
) -> None:
    s3 = Listed(server, bucket)
    buckets = Buckets(s3, [bucket], 1 << 20, folder_log())
    await publish(buckets, f"s3://{bucket}/film", await run(tmp_path, job="job_old"))
    seen = []

    async def look() -> None:
        seen.append(await asyncio.to_thread(whole, server, f"{bucket}/film"))

    s3.before_put = look
    await publish(buckets, f"s3://{bucket}/film", await run(tmp_path))
    assert len(seen) == 5 and all(names[0].startswith("v-job_old-1/") for names in seen)


async def test_what_stands_there_is_told_by_its_manifest_and_by_what_is_left_of_it(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    path = f"s3://{bucket}/film"
    async with buckets.folder(path, await run(tmp_path)) as staged:
        assert await staged.published() is None and not await staged.holds({})
    files = await publish(buckets, path, await run(tmp_path, epoch=2))
    async with buckets.folder(path, await run(tmp_path, epoch=3)) as staged:
        manifest = await staged.published()
        assert manifest and manifest["files"] == files and await staged.holds(files)
        assert staged.at("v-job_a-2/1080p/00000.m4s") == f"{path}/v-job_a-2/1080p/00000.m4s"
        server.put(f"{bucket}/film/v-job_a-2/1080p/00001.m4s", b"longer than it was" * 9)
        assert not await staged.holds(files)
        server.ask("DELETE", f"{bucket}/film/v-job_a-2/1080p/00001.m4s")
        assert not await staged.holds(files)


@pytest.mark.parametrize("name", ["master.m3u8", "notes.txt", "v-mine/a", "1080p/00000.m4s", "manifest.json"])
async def test_what_we_did_not_make_is_not_touched(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path, name: str
) -> None:
    server.put(f"{bucket}/film/{name}", b"theirs")
    server.put(f"{bucket}/film2/x", b"another folder")
    with pytest.raises(Deterministic) as caught:
        await publish(buckets, f"s3://{bucket}/film", await run(tmp_path))
    assert caught.value.type == "output_not_ours"
    assert server.keys(bucket) == [f"film/{name}", "film2/x"]
