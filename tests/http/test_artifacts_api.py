"""Artefacts over HTTP: what a job wrote, and nothing else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from secondunit.daemon.files.artifacts import JobArtifacts, NoSuchArtifact
from secondunit.daemon.http.transport.problems import MEDIA_TYPE
from secondunit.handlers.hls import outputs
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Completed
from secondunit.queue.value import replace
from secondunit.testing.folder_log import folder_log
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.rig import spec

SEGMENT = bytes(range(256)) * 8
STREAM = {
    "master.m3u8": b"#EXTM3U",
    "1080p/index.m3u8": b"#EXTM3U",
    "1080p/seg_0.m4s": SEGMENT,
    "1080p/other.m4s": b"not in the manifest",
}
LISTED = ("1080p/index.m3u8", "1080p/seg_0.m4s")


async def _never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("nothing runs here")


FILM = spec("film", _never, artifacts=outputs.playlists, folder=outputs.folder)


class Shelf:
    """A harness with a media root and a data folder."""

    def __init__(self, harness: Any, folder: Path, work: WorkFolders, files: LocalFiles) -> None:
        self.harness, self.root, self.work, self.files = harness, folder / "media", work, files

    def artifacts(self, box: str | None) -> JobArtifacts:
        """As this box has them."""
        return JobArtifacts(self.files, self.work.log_of, {"film": FILM}, box=box)

    def write(self, name: str, content: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    async def job(self, result: Any, log: str | None = None, type: str = "idle") -> str:
        """An ended job with this result; its id."""
        job_id = str(await self.harness.submit(type))
        if log is not None:
            path = self.work.log_of(job_id)
            path.parent.mkdir(parents=True)
            path.write_text(log)
        await self.harness.settle(job_id, Completed(result))
        return job_id

    async def stream(self) -> str:
        """A job that made an HLS stream."""
        async with self.files.folder(f"{self.root}/film", await FakeContext.open(self.root.parent / "run")) as staged:
            (staged.path / "1080p").mkdir()
            for name, content in STREAM.items():
                (staged.path / name).write_bytes(content)
            await staged.publish({"files": {name: len(STREAM[name]) for name in LISTED}})
        home = self.root / "film"
        rendition = {"name": "1080p", "path": f"{home}/1080p/index.m3u8"}
        return await self.job({"masterPath": f"{home}/master.m3u8", "renditions": [rendition]}, type="film")

    async def get(self, job_id: str, name: str, method: str = "GET", **headers: str) -> Any:
        return await self.harness.raw(method, f"/api/jobs/{job_id}/artifacts/{name}", headers=headers)

    async def get_encoded(self, job_id: str, name: str) -> Any:
        """The answer to a URL that is sent as it is written."""
        url = URL(f"{self.harness.client.make_url('/')}api/jobs/{job_id}/artifacts/{name}", encoded=True)
        return await self.harness.client.session.get(url)


@pytest.fixture
async def shelf(build: Callable[..., Awaitable[Any]], tmp_path: Path) -> AsyncIterator[Shelf]:
    (tmp_path / "media").mkdir()
    files, work = LocalFiles([tmp_path / "media"], log=folder_log()), WorkFolders(tmp_path / "data")
    harness = await build(artifacts=JobArtifacts(files, work.log_of, {"film": FILM}), specs=[FILM])
    yield Shelf(harness, tmp_path, work, files)
    files.close()


async def test_a_job_lists_its_log_and_its_output(shelf: Shelf) -> None:
    path = shelf.write("thumb.webp", b"RIFF")
    job_id = await shelf.job({"outputPath": str(path)}, log="$ ffmpeg\n")
    answer = await shelf.harness.call("GET", f"/api/jobs/{job_id}/artifacts")
    assert answer == {
        "artifacts": [
            {"name": "job.log", "size": 9, "contentType": "text/plain; charset=utf-8"},
            {"name": "thumb.webp", "size": 4, "contentType": "image/webp"},
        ]
    }
    log = await shelf.get(job_id, "job.log")
    assert await log.text() == "$ ffmpeg\n" and log.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_job_that_wrote_nothing_lists_nothing(shelf: Shelf) -> None:
    job_id = await shelf.job({"outputPath": str(shelf.root / "gone.mp4")})
    assert await shelf.harness.call("GET", f"/api/jobs/{job_id}/artifacts") == {"artifacts": []}
    assert (await shelf.get(job_id, "gone.mp4")).status == 404
    await shelf.harness.call("GET", f"/api/jobs/{job_id}/artifacts/job.log", status=404)


async def test_what_another_box_wrote_is_told_to_lie_there(shelf: Shelf) -> None:
    job_id = await shelf.job({"outputPath": str(shelf.root / "thumb.webp")})
    store, artifacts = shelf.harness.store, shelf.artifacts
    [run] = (job := await store.get(job_id)).runs
    job = replace(job, runs=[replace(run, box="a")])
    for box, said in (
        ("b", "not on this box: a ran the job"),
        ("a", "not there any more"),
        (None, "not there any more"),
    ):
        for name in ("thumb.webp", "job.log"):
            with pytest.raises(NoSuchArtifact, match=said):
                async with artifacts(box).opened(job, name):
                    pass


async def test_a_job_that_is_not_there_has_no_artefacts(shelf: Shelf) -> None:
    await shelf.harness.call("GET", f"/api/jobs/job_{'a' * 26}/artifacts", status=404)
    await shelf.harness.call("GET", f"/api/jobs/job_{'a' * 26}/artifacts/job.log", status=404)


async def test_a_stream_can_be_played_from_its_artefacts(shelf: Shelf) -> None:
    job_id = await shelf.stream()
    answer = await shelf.harness.call("GET", f"/api/jobs/{job_id}/artifacts")
    assert [row["name"] for row in answer["artifacts"]] == ["master.m3u8", "1080p/index.m3u8"]
    kinds = {row["contentType"] for row in answer["artifacts"]}
    assert kinds == {"application/vnd.apple.mpegurl"}
    segment = await shelf.get(job_id, "1080p/seg_0.m4s")
    assert segment.headers["Content-Type"] == "video/iso.segment" and await segment.read() == SEGMENT


@pytest.mark.parametrize(
    ("wanted", "status", "expected"),
    [
        ("bytes=0-9", 206, SEGMENT[:10]),
        ("bytes=2000-", 206, SEGMENT[2000:]),
        ("bytes=-5", 206, SEGMENT[-5:]),
        ("bytes=2047-9000", 206, SEGMENT[2047:]),
        ("bytes=5000-", 416, None),
        ("bytes=2048-", 416, None),
        # These are none of bytes, or none at all, and so are as if they were not there.
        ("bytes=9-2", 200, SEGMENT),
        ("bytes=-0", 200, SEGMENT),
        ("bytes=0-1,4-5", 200, SEGMENT),
        ("bytes=", 200, SEGMENT),
        ("bytes=-", 200, SEGMENT),
        ("bytes=" + "9" * 5000 + "-", 200, SEGMENT),
        ("seconds=0-1", 200, SEGMENT),
        ("bytes=0-1000,500-1500,0-2047", 200, SEGMENT),
        ("bytes=" + "0-," * 2500 + "0-", 200, SEGMENT),
        ("bytes=0-" + "9" * 18, 206, SEGMENT),
        ("bytes=-" + "9" * 18, 206, SEGMENT),
        ("bytes=" + "9" * 18 + "-", 416, None),
        ("bytes=\u0661-2", 200, SEGMENT),
    ],
)
async def test_ranges_are_served(shelf: Shelf, wanted: str, status: int, expected: bytes | None) -> None:
    job_id = await shelf.stream()
    answer = await shelf.get(job_id, "1080p/seg_0.m4s", Range=wanted)
    assert answer.status == status
    if expected is None:
        problem = await answer.json(content_type=MEDIA_TYPE)
        assert problem["type"] == "urn:secondunit:problem:range-unsatisfiable" and "2048" in problem["detail"]
    else:
        assert await answer.read() == expected
    assert answer.headers.get("Content-Range", "/2048").endswith("/2048")
    assert ("Content-Range" in answer.headers) == (status != 200)


async def test_a_range_of_something_that_changed_is_served_whole(shelf: Shelf) -> None:
    job_id = await shelf.stream()
    whole = await shelf.get(job_id, "1080p/seg_0.m4s")
    again = {"Range": "bytes=0-9", "If-Range": "Sat, 01 Jan 2000 00:00:00 GMT"}
    assert (await shelf.get(job_id, "1080p/seg_0.m4s", **again)).status == 200
    assert (await shelf.get(job_id, "1080p/seg_0.m4s", **{"If-None-Match": whole.headers["ETag"]})).status == 304
    changed = whole.headers["Last-Modified"]
    others = ['"another"', f"W/{whole.headers['ETag']}", '"\xa1"', "\xa1", "garbage", "*", changed.lower()]
    others += ["Fri, 01 Jan 2100 00:00:00 GMT"]  # a time to come is that of another version, too (RFC 9110, 13.1.5)
    for version, status in ((whole.headers["ETag"], 206), (changed, 206), *((other, 200) for other in others)):
        again = {"Range": "bytes=0-9", "If-Range": version}
        assert (await shelf.get(job_id, "1080p/seg_0.m4s", **again)).status == status, version


async def test_a_file_that_is_not_as_it_must_be_is_a_problem(shelf: Shelf) -> None:
    job_id = await shelf.stream()
    for condition in ({"If-Match": '"another"'}, {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}):
        answer = await shelf.get(job_id, "1080p/seg_0.m4s", **condition)
        problem = await answer.json(content_type=MEDIA_TYPE)
        assert (answer.status, problem["type"]) == (412, "urn:secondunit:problem:precondition-failed")
    assert (await shelf.get(job_id, "1080p/seg_0.m4s")).status == 200


async def test_head_tells_the_size_without_the_content(shelf: Shelf) -> None:
    job_id = await shelf.stream()
    answer = await shelf.get(job_id, "1080p/seg_0.m4s", "HEAD")
    assert answer.status == 200 and await answer.read() == b""
    assert answer.headers["Content-Length"] == "2048" and answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "name",
    [
        "1080p/other.m4s",
        "manifest.json",
        "..%2Fsecret",
        "%2e%2e/secret",
        "1080p/..%2f..%2fsecret",
        "%2Fetc%2Fpasswd",
        "1080p",
        "1080p/index.m3u8%00",
        "../job.log%2f",
    ],
)
async def test_nothing_but_what_the_job_wrote_is_served(shelf: Shelf, name: str) -> None:
    shelf.write("secret", b"not for you")
    job_id = await shelf.stream()
    answer = await shelf.get_encoded(job_id, name)
    assert answer.status == 404, await answer.text()


async def test_a_result_can_not_name_a_file_outside_of_the_roots(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not for you")
    (shelf.root / "link.png").symlink_to(tmp_path / "secret")
    for path in (str(tmp_path / "secret"), str(shelf.root / "link.png"), "secret", "", "/", 5, None):
        job_id = await shelf.job({"outputPath": path})
        assert await shelf.harness.call("GET", f"/api/jobs/{job_id}/artifacts") == {"artifacts": []}
        assert (await shelf.get(job_id, Path(str(path)).name or "x")).status == 404


async def test_a_manifest_that_is_not_ours_opens_nothing(shelf: Shelf) -> None:
    job_id = await shelf.stream()
    for content in (b"[]", b"{", b'{"files": {"1080p/seg_0.m4s": 1}}', b'{"madeBy": "secondunit", "files": 1}'):
        shelf.write("film/manifest.json", content)
        assert (await shelf.get(job_id, "1080p/seg_0.m4s")).status == 404


async def test_a_manifest_can_not_lead_outside(shelf: Shelf) -> None:
    shelf.write("secret", b"not for you")
    job_id = await shelf.stream()
    shelf.write("film/manifest.json", b'{"madeBy": "secondunit", "files": {"../secret": 1, "/etc/passwd": 1}}')
    for name in ("..%2Fsecret", "%2Fetc%2Fpasswd"):
        answer = await shelf.get_encoded(job_id, name)
        assert answer.status == 404


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "script.js", "noname"])
async def test_what_a_browser_might_run_is_data(shelf: Shelf, name: str) -> None:
    job_id = await shelf.job({"outputPath": str(shelf.write(name, b"<script>alert(1)</script>"))})
    answer = await shelf.get(job_id, name)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_a_key_with_the_scope_to_read_is_needed(build: Any) -> None:
    harness = await build(api_key="k" * 32)
    await harness.call("GET", f"/api/jobs/job_{'a' * 26}/artifacts", status=401)
    await harness.call("GET", f"/api/jobs/job_{'a' * 26}/artifacts/job.log", status=401)
