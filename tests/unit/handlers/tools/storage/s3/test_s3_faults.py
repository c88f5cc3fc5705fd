"""What a broken, silent or unwilling S3 means for a job: each told by its own word, and nothing half-written."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from secondunit.handlers.tools.storage.s3 import client as s3_client
from secondunit.handlers.tools.storage.s3 import upload as s3_upload
from secondunit.handlers.tools.storage.s3.client import S3, S3Timeouts
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext

pytestmark = pytest.mark.slow
Says = tuple[int, str]
LARGE = s3_upload.ONE_REQUEST + 1
UPLOAD = "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>"


class Faulty:
    """An S3 that goes wrong at one kind of request: `METHOD` alone, or with a word of its query."""

    def __init__(self, at: str, answer: Says | None) -> None:
        self.at, self.answer = at, answer
        self.asked: list[str] = []
        self.over = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        words = (word for word in ("uploads", "partNumber", "uploadId") if word in request.query)
        kind = " ".join([request.method, *words])
        self.asked.append(kind)
        if kind == self.at:
            if self.answer is None:
                await self.over.wait()
            status, text = self.answer or (500, "")
            return web.Response(status=status, text=text)
        if kind == "POST uploads":
            return web.Response(text=UPLOAD, content_type="application/xml")
        if kind == "HEAD":
            return web.Response(status=404)
        if request.method == "PUT":
            await request.read()
            return web.Response(headers={"ETag": '"1"'})
        return web.Response(status=204)


@pytest.fixture
def asked() -> list[Any]:
    return []


@pytest.fixture
async def patient(tmp_path: Path, asked: list[Any]) -> AsyncIterator[Any]:
    servers: list[tuple[TestServer, Faulty]] = []

    async def start(faulty: Faulty, silence: float = 0.4) -> Buckets:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{key:.*}", faulty.serve)
        server = TestServer(app)
        servers.append((server, faulty))
        await server.start_server()
        endpoint = str(server.make_url("/")).rstrip("/")
        environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT": endpoint}
        moment = timedelta(seconds=silence)
        return Buckets(
            S3(environment, S3Timeouts(moment, moment, retries=1), asked.append), ["films"], 1 << 30, folder_log()
        )

    yield start
    for server, faulty in servers:
        faulty.over.set()
        await server.close()


def says(status: int, code: str = "", message: str = "") -> Says:
    return status, f"<Error><Code>{code}</Code><Message>{message}</Message><Key>hidden</Key></Error>"


async def failing(buckets: Buckets, ctx: FakeContext, size: int) -> Deterministic | Transient:
    """What an upload of so many bytes raises."""
    try:
        async with buckets.target("s3://films/a.mp4", ctx) as staged:
            await asyncio.to_thread(staged.path.write_bytes, bytes(size))
            await staged.publish()
    except (Deterministic, Transient) as error:
        return error
    raise AssertionError("it was published")


@pytest.mark.parametrize(
    ("answer", "error", "type", "words"),
    [
        (says(500, "InternalError"), Transient, "s3_unavailable", "500, InternalError"),
        (says(503, "SlowDown"), Transient, "s3_unavailable", "503, SlowDown"),
        (None, Transient, "s3_unavailable", "can't be reached"),
        (says(403, "AccessDenied", "Access Denied"), Deterministic, "permission_denied", "check the rights"),
        (says(403, "SignatureDoesNotMatch"), Deterministic, "permission_denied", "SignatureDoesNotMatch"),
        (says(403, "QuotaExceeded"), Transient, "disk_full", "the bucket is full"),
        (says(400, "XMinioAdminBucketQuotaExceeded"), Transient, "disk_full", "the bucket is full"),
        (says(507, "XMinioStorageFull"), Transient, "disk_full", "the bucket is full"),
        (says(400, "ExpiredToken", "It has expired"), Deterministic, "permission_denied", "ExpiredToken"),
        (says(400, "EntityTooLarge"), Deterministic, "s3_refused", "EntityTooLarge"),
        (says(301, "PermanentRedirect"), Deterministic, "s3_refused", "AWS_REGION"),
        (says(501, "NotImplemented"), Deterministic, "s3_refused", "AWS_CONDITIONAL_PUT=disabled"),
        (says(404, "NoSuchBucket"), Deterministic, "no_such_bucket", "no such bucket"),
    ],
)
async def test_each_answer_has_its_meaning(
    patient: Any, asked: list[Any], ctx: FakeContext, answer: Says | None, error: type, type: str, words: str
) -> None:
    found = await failing(await patient(Faulty("PUT", answer)), ctx, 10)
    assert isinstance(found, error) and found.type == type
    assert (asked[-1].bucket, asked[-1].wrote) == ("films", True)
    assert (asked[-1].trouble, asked[-1].passing) == (str(found), error is Transient)
    assert words in str(found) and "s3://films/a.mp4" in str(found)
    assert "hidden" not in str(found) and len(str(found)) < 500


def open_beneath(folder: Path) -> list[str]:
    """The files in this folder that this process has open."""
    opened = [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    return [name for name in opened if name.startswith(str(folder))]


@pytest.mark.parametrize("answer", [says(500), says(403, "AccessDenied"), None])
async def test_a_part_that_is_not_taken_ends_and_aborts_the_upload(
    patient: Any, ctx: FakeContext, answer: Says | None
) -> None:
    faulty = Faulty("PUT partNumber uploadId", answer)
    await failing(await patient(faulty), ctx, LARGE)
    assert "DELETE uploadId" in faulty.asked and "POST uploadId" not in faulty.asked
    assert list(ctx.workspace.run.iterdir()) == []


async def test_a_run_that_is_cancelled_again_and_again_leaves_no_upload_to_a_silent_s3(
    patient: Any, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_upload, "ABORTED_WITHIN", 0.5)
    faulty = Faulty("PUT partNumber uploadId", None)
    buckets = await patient(faulty, silence=3)
    ours = asyncio.all_tasks()
    run = asyncio.create_task(failing(buckets, ctx, LARGE))
    while faulty.asked.count("PUT partNumber uploadId") < s3_client.AT_ONCE:
        await asyncio.sleep(0.01)
    for _ in range(2):
        run.cancel()
        await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        await asyncio.wait([run])
    assert run.cancelled()
    assert not [task for task in asyncio.all_tasks() - ours if "put_parts" in str(task)]
    assert not await asyncio.to_thread(open_beneath, ctx.workspace.run)
    assert "POST uploadId" not in faulty.asked


async def test_an_upload_that_is_not_there_afterwards_is_tried_again(patient: Any, ctx: FakeContext) -> None:
    found = await failing(await patient(Faulty("none", None)), ctx, 10)
    assert isinstance(found, Transient) and found.type == "upload_lost"


async def test_an_input_that_may_not_be_read_says_what_to_check(patient: Any, ctx: FakeContext) -> None:
    for status, type, word in (
        (403, Deterministic, "permission_denied"),
        (404, Deterministic, "source_missing"),
        (500, Transient, "s3_unavailable"),
    ):
        buckets = await patient(Faulty("HEAD", says(status)))
        with pytest.raises(type) as caught:
            async with buckets.source("s3://films/a.mp4", ctx):
                pass
        assert getattr(caught.value, "type", None) == word


@pytest.mark.parametrize("environment", [{}, {"AWS_REGION": "eu-west-1"}, {"AWS_SECRET_ACCESS_KEY": "b"}])
async def test_without_credentials_nobody_is_asked(ctx: FakeContext, environment: dict[str, str]) -> None:
    with pytest.raises(Deterministic, match="AWS_ACCESS_KEY_ID") as caught:
        async with Buckets(S3(environment), ["films"], 1, folder_log()).source("s3://films/a.mp4", ctx):
            pass
    assert caught.value.type == "no_credentials"


async def test_half_a_credential_is_a_bad_configuration(ctx: FakeContext) -> None:
    with pytest.raises(Deterministic) as caught:
        async with Buckets(S3({"AWS_ACCESS_KEY_ID": "a"}), ["films"], 1, folder_log()).source("s3://films/a.mp4", ctx):
            pass
    assert caught.value.type == "bad_configuration" and "SecretAccessKey" in str(caught.value)
