"""Artefacts that lie in a bucket: found by a signed URL, and only what the job wrote inside MEDIA_BUCKETS."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.files.artifacts import JobArtifacts
from secondunit.handlers.hls import outputs
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.router import Storage
from secondunit.handlers.tools.storage.s3.client import S3, ObjectInfo
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Completed, Transient
from secondunit.testing.folder_log import folder_log
from secondunit.testing.rig import spec

KEYS = {
    "AWS_ACCESS_KEY_ID": "a-key",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",  # signing asks nobody
}
HOME = "s3://films/out/a film"
RENDITION = {"path": f"{HOME}/v-job_a-1/1080p/index.m3u8"}
STREAM = {"masterPath": f"{HOME}/master.m3u8", "renditions": [RENDITION]}


async def _never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("nothing runs here")


FILM = spec("film", _never, artifacts=outputs.playlists, folder=outputs.folder)


class Shelf(S3):
    """Objects by their keys, each with its size; or S3 is away."""

    def __init__(self, sizes: dict[str, int] | None) -> None:
        super().__init__(KEYS)
        self.sizes = sizes

    async def find(self, spot: Any) -> ObjectInfo | None:
        if self.sizes is None:
            raise Transient("s3://films: S3 can't be reached")
        size = self.sizes.get(spot.key)
        return None if size is None else ObjectInfo(size, '"x"')


class ApiHarness:
    """A daemon's API over such a shelf."""

    def __init__(self, harness: Any) -> None:
        self.harness = harness

    async def job(self, result: Any) -> str:
        job_id = str(await self.harness.submit("film" if "masterPath" in result else "idle"))
        await self.harness.settle(job_id, Completed(result))
        return job_id

    async def get(self, job_id: str, name: str, method: str = "GET") -> Any:
        path = f"/api/jobs/{job_id}/artifacts/{name}"
        return await self.harness.raw(method, path, allow_redirects=False)

    async def listed(self, job_id: str, status: int = 200) -> Any:
        return await self.harness.call("GET", f"/api/jobs/{job_id}/artifacts", status=status)


Built = Callable[..., Awaitable[ApiHarness]]


@pytest.fixture
def built(build: Callable[..., Awaitable[Any]], tmp_path: Path) -> Built:
    async def over(sizes: dict[str, int] | None = None) -> ApiHarness:
        buckets = Buckets(Shelf(sizes), ["films/out"], 1, folder_log())
        files = Storage(LocalFiles([]), buckets)
        artifacts = JobArtifacts(files, WorkFolders(tmp_path).log_of, {"film": FILM}, buckets)
        return ApiHarness(await build(artifacts=artifacts, specs=[FILM]))

    return over


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_object_is_found_by_a_url_that_is_good_for_an_hour(built: Built, method: str) -> None:
    harness = await built()
    answer = await harness.get(await harness.job({"outputPath": "s3://films/out/a b.webp"}), "a b.webp", method)
    assert answer.status == 302 and answer.headers["Cache-Control"] == "no-store"
    url = answer.headers["Location"]
    assert url.startswith("http://127.0.0.1:1/films/out/a%20b.webp?X-Amz-Algorithm=")
    assert "X-Amz-Expires=3600" in url and "X-Amz-Signature=" in url and "a-secret" not in url


@pytest.mark.parametrize("name", ["master.m3u8", "v-job_a-1/1080p/index.m3u8", "v-job_a-1/1080p/00000.m4s"])
async def test_all_of_a_stream_is_found_by_the_names_its_playlists_use(built: Built, name: str) -> None:
    harness = await built()
    answer = await harness.get(await harness.job(STREAM), name)
    assert answer.status == 302
    assert answer.headers["Location"].startswith(f"http://127.0.0.1:1/films/out/a%20film/{name}?")


@pytest.mark.parametrize(
    "name",
    [
        "v-job_b-1/1080p/00000.m4s",
        "1080p/index.m3u8",
        "other.m3u8",
        "v-job_a-1",
        "v-job_a-1/..%2F..%2Fx",
        "v-job_a-1//x",
    ],
)
async def test_nothing_else_in_the_bucket_is_signed(built: Built, name: str) -> None:
    harness = await built()
    assert (await harness.get(await harness.job(STREAM), name)).status == 404


@pytest.mark.parametrize("path", ["s3://films/a.png", "s3://other/out/a.png", "s3://films/out/../a.png", "s3://a.png"])
async def test_a_result_can_not_name_an_object_outside_of_media_buckets(built: Built, path: str) -> None:
    harness = await built({"a.png": 1, "out/a.png": 1})
    job_id = await harness.job({"outputPath": path})
    assert (await harness.get(job_id, "a.png")).status == 404
    assert await harness.listed(job_id) == {"artifacts": []}


async def test_a_list_tells_the_sizes_of_what_is_there(built: Built) -> None:
    harness = await built({"out/a film/master.m3u8": 7})
    assert await harness.listed(await harness.job(STREAM)) == {
        "artifacts": [{"name": "master.m3u8", "size": 7, "contentType": "application/vnd.apple.mpegurl"}]
    }


async def test_while_s3_is_away_a_list_says_so(built: Built) -> None:
    harness = await built(None)
    answer = await harness.listed(await harness.job(STREAM), status=502)
    assert answer["title"] == "S3 can't be asked just now"
