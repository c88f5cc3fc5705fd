"""Objects as inputs and outputs: whole or not at all, only while the lease holds, fetched once."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.storage.s3 import upload as s3_upload
from secondunit.handlers.tools.storage.s3.client import S3, ObjectInfo, S3Timeouts
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.queue.errors import LeaseLost
from secondunit.queue.handler import Workspace
from secondunit.queue.instrumentation import unheard
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.running.context import RunContext
from secondunit.queue.state import expire
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.jobs import claim, held, submit
from secondunit.testing.rig import Rig
from tests.local_s3 import LocalS3

pytestmark = pytest.mark.slow
LARGE = s3_upload.ONE_REQUEST + (5 << 20)


async def publish(buckets: Buckets, path: str, content: bytes, ctx: FakeContext) -> int:
    async with buckets.target(path, ctx) as staged:
        await asyncio.to_thread(staged.path.write_bytes, content)
        return await staged.publish()


def left(ctx: FakeContext) -> list[Path]:
    """What lies in the run's folder."""
    return list(ctx.workspace.run.iterdir())


class Fenced(FakeContext):
    """A run that looks at its lease through `fence`."""

    fence: Callable[[], Awaitable[None]]

    async def stats(self, **figures: Any) -> None:
        await self.fence()


async def fenced(folder: Path, fence: Callable[[], Awaitable[None]], epoch: int = 1) -> Fenced:
    ctx = await Fenced.open(folder, epoch=epoch)
    assert isinstance(ctx, Fenced)
    ctx.fence = fence
    return ctx


async def lost() -> None:
    raise LeaseLost("job_test", 1)


@pytest.mark.parametrize("size", [0, 1, 100_000, LARGE])
async def test_a_file_is_uploaded_and_then_gone_here(
    server: LocalS3, bucket: str, buckets: Buckets, ctx: FakeContext, size: int
) -> None:
    content = os.urandom(size)
    assert await publish(buckets, f"s3://{bucket}/a b/ü 映+.mp4", content, ctx) == size
    assert server.keys(bucket) == ["a b/ü 映+.mp4"] and server.uploads(bucket) == 0
    assert ctx.beats and ctx.quiets["S3 is asked"] > 2 * S3Timeouts().silence
    assert server.get(f"{bucket}/a b/ü 映+.mp4") == content
    head = server.head(f"{bucket}/a b/ü 映+.mp4")
    assert head["content-type"] == "video/mp4"
    assert (head["x-amz-meta-secondunit-job"], head["x-amz-meta-secondunit-epoch"]) == ("job_test", "1")
    assert left(ctx) == []


@pytest.mark.parametrize(("name", "kind"), [("a.webp", "image/webp"), ("a.html", "application/octet-stream")])
async def test_an_object_says_what_it_is(
    server: LocalS3, bucket: str, buckets: Buckets, ctx: FakeContext, name: str, kind: str
) -> None:
    await publish(buckets, f"s3://{bucket}/{name}", b"x", ctx)
    assert server.head(f"{bucket}/{name}")["content-type"] == kind


async def test_what_was_not_published_is_neither_here_nor_there(
    server: LocalS3, bucket: str, buckets: Buckets, ctx: FakeContext
) -> None:
    async with buckets.target(f"s3://{bucket}/a.png", ctx) as staged:
        assert staged.path.name == "output.png"
        await asyncio.to_thread(staged.path.write_bytes, b"x")
    assert server.keys(bucket) == [] and left(ctx) == []


@pytest.mark.parametrize("size", [10, LARGE])
async def test_a_run_that_lost_its_lease_writes_nothing(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path, size: int
) -> None:
    server.put(f"{bucket}/a.mp4", b"what the newer run wrote")
    ctx = await fenced(tmp_path, lost)
    with pytest.raises(LeaseLost):
        await publish(buckets, f"s3://{bucket}/a.mp4", bytes(size), ctx)
    assert server.get(f"{bucket}/a.mp4") == b"what the newer run wrote"
    assert server.uploads(bucket) == 0 and left(ctx) == []


async def test_the_look_at_the_lease_is_a_fenced_write_of_nothing(tmp_path: Path) -> None:
    rig = Rig()
    await submit(rig.store, "a")
    (job,) = await claim(rig.store)
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "log")
    ctx = RunContext(job, held(job), workspace, rig.store, rig.hub, rig.clock, unheard)
    await s3_upload.still_held(ctx)
    assert (await rig.store.get("a")).stats in (None, {})
    await rig.change("a", expire, rig.clock.now())
    with pytest.raises(LeaseLost):
        await s3_upload.still_held(ctx)


async def test_a_run_that_is_superseded_after_it_looked_at_its_lease_overwrites_nothing(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    looks = 0

    async def overtaken() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise LeaseLost("job_test", 1)
        newer = await FakeContext.open(tmp_path / "newer", epoch=2)
        await publish(buckets, f"s3://{bucket}/a.png", b"newer", newer)

    ctx = await fenced(tmp_path / "older", overtaken)
    with pytest.raises(LeaseLost):
        await publish(buckets, f"s3://{bucket}/a.png", b"older", ctx)
    assert server.get(f"{bucket}/a.png") == b"newer" and looks == 2


async def test_another_job_may_write_the_same_object_meanwhile_and_the_last_one_wins(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    others = iter([b"theirs", b"theirs again"])

    async def contended() -> None:
        if content := next(others, None):
            await asyncio.to_thread(server.put, f"{bucket}/a.png", content)

    ctx = await fenced(tmp_path, contended)
    await publish(buckets, f"s3://{bucket}/a.png", b"ours", ctx)
    assert server.get(f"{bucket}/a.png") == b"ours"


async def test_without_conditions_the_lease_alone_decides(server: LocalS3, bucket: str, tmp_path: Path) -> None:
    s3 = S3({**server.environment(), "AWS_CONDITIONAL_PUT": "disabled"})
    buckets = Buckets(s3, [bucket], 1 << 20, folder_log())
    await publish(buckets, f"s3://{bucket}/a.png", b"x", await FakeContext.open(tmp_path / "a"))
    with pytest.raises(LeaseLost):
        await publish(buckets, f"s3://{bucket}/a.png", b"y", await fenced(tmp_path / "b", lost, 2))
    assert server.get(f"{bucket}/a.png") == b"x"


async def test_an_upload_that_is_cancelled_is_aborted(
    server: LocalS3, bucket: str, buckets: Buckets, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    class Watched(FakeContext):
        async def progress(self, fraction: float, message: str = "") -> None:
            begun.set()

    ctx = await Watched.open(tmp_path)
    run = asyncio.create_task(publish(buckets, f"s3://{bucket}/a.mp4", bytes(4 * LARGE), ctx))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert server.keys(bucket) == [] and server.uploads(bucket) == 0 and left(ctx) == []


async def test_a_bucket_that_is_not_there_is_named(server: LocalS3, ctx: FakeContext) -> None:
    buckets = Buckets(S3(server.environment()), ["no-such"], 1 << 20, folder_log())
    with pytest.raises(Deterministic, match=r"s3://no-such/a\.png: there is no such bucket"):
        await publish(buckets, "s3://no-such/a.png", b"x", ctx)


async def test_an_input_is_fetched_into_the_jobs_folder(
    server: LocalS3, bucket: str, buckets: Buckets, ctx: FakeContext
) -> None:
    content = os.urandom(3_000_000)
    server.put(f"{bucket}/in/a film.mp4", content)
    async with buckets.source(f"s3://{bucket}/in/a film.mp4", ctx) as source:
        assert (source.name, source.size) == ("a film.mp4", len(content))
        assert await asyncio.to_thread(source.path.read_bytes) == content
        first = source.identity
    assert ctx.reports and "fetching the input" in ctx.reports[-1].message
    server.put(f"{bucket}/in/a film.mp4", content + b"!")
    async with buckets.source(f"s3://{bucket}/in/a film.mp4", await ctx.rerun()) as source:
        assert source.size == len(content) + 1 and source.identity != first


async def test_an_input_that_did_not_change_is_fetched_once(server: LocalS3, bucket: str, ctx: FakeContext) -> None:
    s3 = Counting(server.environment())
    buckets = Buckets(s3, [bucket], 1 << 30, folder_log())
    server.put(f"{bucket}/a", bytes(100_000))
    for run in (ctx, await ctx.rerun()):
        async with buckets.source(f"s3://{bucket}/a", run) as source:
            assert source.size == 100_000
    assert s3.starts == [0]


async def test_an_input_is_resumed_where_an_earlier_run_stopped(server: LocalS3, bucket: str, ctx: FakeContext) -> None:
    content = os.urandom(5 << 20)
    server.put(f"{bucket}/a", content)
    s3 = Counting(server.environment())
    buckets = Buckets(s3, [bucket], 1 << 30, folder_log())

    class Stops(FakeContext):
        async def progress(self, fraction: float, message: str = "") -> None:
            raise Transient("stopped")

    stops = Stops(ctx.workspace, job_id="job_test", attempt=1, epoch=1, labels={})
    with pytest.raises(Transient):
        async with buckets.source(f"s3://{bucket}/a", stops):
            pass
    async with buckets.source(f"s3://{bucket}/a", await ctx.rerun()) as source:
        read = await asyncio.to_thread(source.path.read_bytes)
    assert hashlib.sha256(read).digest() == hashlib.sha256(content).digest()
    assert len(s3.starts) == 2 and s3.starts[1] >= 1 << 20


async def test_an_empty_input_is_an_empty_file(
    server: LocalS3, bucket: str, buckets: Buckets, ctx: FakeContext
) -> None:
    server.put(f"{bucket}/a", b"")
    async with buckets.source(f"s3://{bucket}/a", ctx) as source:
        assert source.size == 0


async def test_an_input_that_is_missing_or_too_large_is_refused_for_good(
    server: LocalS3, bucket: str, ctx: FakeContext
) -> None:
    buckets = Buckets(S3(server.environment()), [bucket], 10, folder_log())
    server.put(f"{bucket}/a", bytes(11))
    for path, word in (("a", "too_large"), ("b", "source_missing")):
        with pytest.raises(Deterministic) as caught:
            async with buckets.source(f"s3://{bucket}/{path}", ctx):
                pass
        assert caught.value.type == word


async def test_a_disk_without_room_is_told_before_anything_is_fetched(
    server: LocalS3, bucket: str, ctx: FakeContext
) -> None:
    class Huge(Counting):
        async def find(self, s3_path: Any) -> ObjectInfo:
            return ObjectInfo(1 << 60, '"huge"')

    s3 = Huge(server.environment())
    with pytest.raises(OSError, match="no room on the disk"):
        async with Buckets(s3, [bucket], 1 << 61, folder_log()).source(f"s3://{bucket}/a", ctx):
            pass
    assert s3.starts == []


class Counting(S3):
    """Writes down from which byte objects were read."""

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(environment)
        self.starts: list[int] = []

    def read(self, s3_path: Any, etag: str, start: int = 0) -> Any:
        self.starts.append(start)
        return super().read(s3_path, etag, start)
