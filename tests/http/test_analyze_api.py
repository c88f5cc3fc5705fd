import asyncio
import errno
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import FormData
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from secondunit.daemon.files import incoming
from secondunit.daemon.files.uploads import SWEEP_EVERY, Uploads
from secondunit.daemon.http.context import Analyses
from secondunit.daemon.wiring.caches import CachedResults
from secondunit.handlers.analyze.strategy import cache_key, strategy
from secondunit.queue.errors import BadPayload, FieldError, StoreFull
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Filter, Job, Status, Submission
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.running.execution import Runtime as Runs
from secondunit.queue.running.worker import Worker
from secondunit.testing.rig import RecordedFolders, SteadyRandom

URL = "https://videos.example/soup.mp4"
TOKENS = {"prompt": 1000, "output": 200, "thoughts": 50, "total": 1250}
PAID = {"gemini_tokens": TOKENS, "cost": 0.01}
RECIPE = {"name": "Soup", "steps": []}
LIMIT = 4 << 20
WAIT = 900.0
VIDEO = b"not much of a video" * 1000


class Payload(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    video_url: str | None = None
    video_path: str | None = None
    language: str | None = None


def check(payload: Payload) -> None:
    if payload.video_url and "10.0.0.1" in payload.video_url:
        raise BadPayload(FieldError("videoUrl", "10.0.0.1 is a private address (ALLOW_PRIVATE_ADDRESSES)"))


def _uploads(payload: Mapping[str, Any]) -> Sequence[str]:
    return [payload["videoPath"]] if "videoPath" in payload else []


class Kitchen:
    """A daemon whose analyses are made by a stand-in: each waits until it is `told` how to end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[tuple[str, Payload]] = []
        self.endings: asyncio.Queue[Any] = asyncio.Queue()
        self.refusal: Exception | None = None
        self.harness: Any = None
        self.uploads: Any = None
        self.worker: Any = None

    @property
    def spec(self) -> HandlerSpec:
        day = timedelta(days=1)
        return HandlerSpec("analyze", Payload, self._run, 3, day, day, RetryPolicy(0), check=check, uploads=_uploads)

    def analyses(self, harness: Any) -> Analyses:
        self.uploads = Uploads(self.folder, LIMIT, harness.clock, {"analyze": self.spec, **harness.queue.registry})
        harness.hub.tap(self.uploads.hear)
        self.results = CachedResults(harness.store.cache, harness.clock, timedelta(hours=1))
        return Analyses(self.uploads, self.results, "gemini-test", WAIT, self._admit)

    async def _run(self, ctx: JobContext, payload: Payload) -> Any:
        self.started.append((ctx.job_id, payload))
        ending = await self.endings.get()
        if isinstance(ending, Exception):
            raise ending
        result = {"recipe": RECIPE, "metadata": {"cached": False, "language": payload.language, **PAID}}
        if payload.video_url is None:
            content = await asyncio.to_thread(Path(payload.video_path or "").read_bytes)
            digest = hashlib.sha256(content).hexdigest()
            key = cache_key(f"sha256:{digest}", strategy("gemini-test", None, payload.language))
            await self.results.put(key, result, ctx.job_id)
        return result

    def _admit(self) -> None:
        if self.refusal:
            raise self.refusal

    async def post(self, path: str = "/analyze", *, status: int = 200, data: Any = None, **more: Any) -> Any:
        """The JSON of an answer, held to its status and to the document."""
        form = video() if data is None and "json" not in more else data
        return await self.harness.answered(await self.harness.raw("POST", path, data=form, **more), path, status)

    def asking(self, path: str = "/analyze", **more: Any) -> asyncio.Task[Any]:
        """A caller that waits."""
        return asyncio.ensure_future(self.post(path, **more))

    async def running(self, count: int = 1) -> None:
        """Return once so many runs have begun."""
        await self.harness.until(lambda: len(self.started) >= count)

    async def settled(self, status: Status) -> Job:
        """The one job there is, once it has this status."""
        async with asyncio.timeout(30):
            while True:
                jobs: Sequence[Job] = (await self.harness.store.find(ANY, None, 10)).jobs
                if len(jobs) == 1 and jobs[0].status is status:
                    return jobs[0]
                await asyncio.sleep(0.002)

    def kept(self) -> list[str]:
        """The names of the files among the uploads."""
        return sorted(path.name for path in self.folder.iterdir())


ANY = Filter()


def video(content: Any = VIDEO, field: str = "video", **fields: str) -> FormData:
    form = FormData(fields)
    form.add_field(field, content, filename="soup.mp4", content_type="video/mp4")
    return form


Open = Callable[..., Awaitable[Kitchen]]


@pytest.fixture
async def open_kitchen(build: Any, tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(working: bool = True) -> Kitchen:
            kitchen = Kitchen(tmp_path)
            harness = kitchen.harness = await build(specs=[kitchen.spec], analyses=kitchen.analyses)
            if working:
                runs = Runs(harness.store, harness.hub, harness.clock, SteadyRandom(), RecordedFolders())
                worker = kitchen.worker = Worker(
                    runs, harness.queue.registry, boot="boot", ttl=timedelta(hours=9), most=5
                )
                await stack.enter_async_context(running(worker.run()))
                await stack.enter_async_context(running(kitchen.uploads.run(harness.queue)))
            return kitchen

        yield opened


@pytest.fixture
async def kitchen(open_kitchen: Open) -> Kitchen:
    return await open_kitchen()


class running:  # noqa: N801  reads as a sentence
    """A task that lives as long as the block."""

    def __init__(self, work: Any) -> None:
        self.task = asyncio.ensure_future(work)

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def test_an_upload_is_answered_with_its_recipe(kitchen: Kitchen) -> None:
    kitchen.endings.put_nowait("well")
    answer = await kitchen.post(data=video(language="de"))
    [(job_id, payload)] = kitchen.started
    assert answer == {"jobId": job_id, "recipe": RECIPE, "metadata": {"cached": False, "language": "de", **PAID}}
    assert payload.video_path == str(kitchen.folder / hashlib.sha256(VIDEO).hexdigest())
    job = await kitchen.harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["type"], job["priority"], job["status"]) == ("analyze", 0, "completed")


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"video_url": URL, "language": "de"}},
        {"data": FormData({"video_url": URL, "language": "de"}, default_to_multipart=True)},
        {"json": {"video_url": URL, "language": "de"}},
    ],
    ids=["urlencoded", "multipart", "json"],
)
async def test_an_address_comes_in_whichever_way_the_caller_likes(kitchen: Kitchen, sent: dict[str, Any]) -> None:
    kitchen.endings.put_nowait("well")
    assert (await kitchen.post("/analyze-from-url", **sent))["recipe"] == RECIPE
    assert kitchen.started[0][1] == Payload.model_validate({"videoUrl": URL, "language": "de"})


async def test_an_upload_is_streamed_to_disk_and_never_held_whole(open_kitchen: Open) -> None:
    kitchen, size = await open_kitchen(working=False), LIMIT

    async def content() -> AsyncIterator[bytes]:
        for _ in range(size // 65536):
            yield bytes(65536)

    tracemalloc.start()
    try:
        await kitchen.post(data=video(content()), status=202, headers={"Prefer": "respond-async"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size // 2


async def test_an_upload_is_on_the_disk_before_its_job_is(kitchen: Kitchen, synced: list[str]) -> None:
    caller = kitchen.asking()
    await kitchen.running()
    [job] = (await kitchen.harness.store.find(ANY, None, 10)).jobs
    upload = Path(job.payload["videoPath"])
    assert [Path(path) == upload.parent for path in synced if path.startswith(str(upload.parent))] == [False, True], (
        "the content first, then the name that promises it"
    )
    kitchen.endings.put_nowait(None)
    await caller


async def test_an_upload_that_says_it_is_too_large_is_refused_unread(kitchen: Kitchen) -> None:
    async with raw_request(kitchen, f"Content-Length: {LIMIT * 2}") as (reader, _):
        assert b" 413 " in await reader.readline()


async def test_an_upload_that_turns_out_to_be_too_large_is_refused_and_gone(kitchen: Kitchen) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    try:
        problem = await kitchen.post(data=video(endless()), status=413)
        assert "MAX_UPLOAD_MB" in problem["detail"]
    except aiohttp.ClientConnectionError:
        pass  # it was still sending when the door was shut
    await kitchen.harness.until(lambda: kitchen.kept() == [])
    assert kitchen.started == []


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        (FormData({"language": "de"}, default_to_multipart=True), "video", "required"),
        (video(b""), "video", "empty"),
        (FormData({"video": "@soup.mp4"}, default_to_multipart=True), "video", "text field"),
        (video(film="noir"), "film", "unknown field"),
        (video(field="file"), "file", "unknown field"),
        (video(language="x" * 9000), "language", "longer than"),
    ],
    ids=["no video", "empty", "no file", "unknown field", "misnamed", "long"],
)
async def test_a_form_that_does_not_fit_is_refused_by_field(
    kitchen: Kitchen, form: FormData, field: str, says: str
) -> None:
    problem = await kitchen.post(data=form, status=422)
    [fault] = problem["errors"]
    assert fault["field"] == field and says in fault["message"]
    await kitchen.harness.until(lambda: kitchen.kept() == [])


async def test_two_videos_in_one_form_are_refused(kitchen: Kitchen) -> None:
    form = video()
    form.add_field("video", b"another", filename="b.mp4")
    problem = await kitchen.post(data=form, status=422)
    assert problem["errors"] == [{"field": "video", "message": "stands twice in the form"}]
    await kitchen.harness.until(lambda: kitchen.kept() == [])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "video_url"),
        ({"video_url": ""}, "video_url"),
        ({"video_url": 7}, "video_url"),
        ({"video_url": "https://[half"}, "video_url"),
        ({"video_url": "http://10.0.0.1/a.mp4"}, "video_url"),
        ({"video_url": URL, "language": 7}, "language"),
        ({"video_url": URL, "frames": 3}, "frames"),
    ],
)
async def test_an_address_that_does_not_fit_is_refused_by_field(
    kitchen: Kitchen, body: dict[str, Any], field: str
) -> None:
    problem = await kitchen.post("/analyze-from-url", json=body, status=422)
    assert [fault["field"] for fault in problem["errors"]] == [field]
    assert kitchen.started == []


async def test_forms_for_addresses_are_held_to_the_same(kitchen: Kitchen) -> None:
    twice = [("video_url", URL), ("video_url", URL)]
    unknown, missing = {"video_url": URL, "frames": "3"}, {"language": "de"}
    for sent, field in ((unknown, "frames"), (twice, "video_url"), (missing, "video_url")):
        problem = await kitchen.post("/analyze-from-url", data=FormData(sent), status=422)
        assert [fault["field"] for fault in problem["errors"]] == [field]


async def test_a_form_with_an_address_is_no_way_to_send_much(kitchen: Kitchen) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"video_url="
        while True:
            yield bytes(65536)

    with suppress(aiohttp.ClientConnectionError):  # or it was still sending when the door was shut
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        problem = await kitchen.post("/analyze-from-url", data=endless(), headers=form, status=413)
        assert "bodies of up to" in problem["detail"]
    async with raw_request(kitchen, "Content-Length: 2000000", path="/analyze-from-url") as (reader, _):
        assert b" 413 " in await reader.readline()


@pytest.mark.parametrize("charset", ["punycode", "idna", "hex", "latin-1", "(", "", 'x"' * 3000])
async def test_a_form_in_another_charset_than_utf_8_is_refused_unread(kitchen: Kitchen, charset: str) -> None:
    kind = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    problem = await kitchen.post("/analyze-from-url", data=b"video_url=%C3%A9&frames=1", headers=kind, status=415)
    assert "send the form as UTF-8" in problem["detail"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"'])
async def test_a_form_may_say_that_it_is_utf_8(kitchen: Kitchen, charset: str) -> None:
    kind = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    problem = await kitchen.post("/analyze-from-url", data=b"video_url=%C3%A9&frames=1", headers=kind, status=422)
    assert [fault["field"] for fault in problem["errors"]] == ["frames"]


@pytest.mark.parametrize("body", [b"a&" * 30_000, b"video_url=%FF", b"video_url=\xff"])
async def test_a_form_that_is_none_is_refused(kitchen: Kitchen, body: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    problem = await kitchen.post("/analyze-from-url", data=body, headers=form, status=400)
    assert problem["type"].endswith(":broken-form")


async def test_an_address_of_a_megabyte_is_refused_before_it_is_taken_apart(kitchen: Kitchen) -> None:
    address = {"video_url": "https://video.example/?" + "a&" * 400_000}
    problem = await kitchen.post("/analyze-from-url", json=address, status=422)
    assert "a URL may have 8192 characters" in problem["errors"][0]["message"]


async def test_an_address_in_another_content_type_is_refused(kitchen: Kitchen) -> None:
    sent = {"data": f"video_url={URL}", "headers": {"Content-Type": "text/plain"}}
    problem = await kitchen.post("/analyze-from-url", **sent, status=415)
    assert problem["detail"] == "the Content-Type is text/plain; send the body as application/json"
    assert kitchen.started == []


async def test_another_content_type_is_refused_and_told_which_is_meant(kitchen: Kitchen) -> None:
    problem = await kitchen.post(data=VIDEO, headers={"Content-Type": "video/mp4"}, status=415)
    assert problem["detail"] == "the Content-Type is video/mp4; send multipart/form-data with a file field video"
    assert kitchen.started == [] and kitchen.kept() == []


BROKEN = {
    "endless lines": ("more than 1000 lines", "multipart/form-data; boundary=a", b"\n" * 900_000),
    "no boundary": ("boundary missed", "multipart/form-data", b"whatever"),
    "another boundary": ("starting boundary", "multipart/form-data; boundary=a", b"--b\r\n\r\nx\r\n--b--\r\n"),
    "cut off in the file": (
        "can't be read",
        "multipart/form-data; boundary=a",
        b'--a\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\nhalf of i',
    ),
    "no last boundary": (
        "can't be read",
        "multipart/form-data; boundary=a",
        b'--a\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\nall\r\n--a\r\n',
    ),
    "a part without a name": (
        "no field with a name",
        "multipart/form-data; boundary=a",
        b"--a\r\nX: y\r\n\r\nx\r\n--a--\r\n",
    ),
    "a head that is none": (
        "the form can't be read: the head of a part is none",
        "multipart/form-data; boundary=a",
        b'--a\r\nContent-Disposition: form-data; name="video\0"\r\n\r\nx\r\n--a--\r\n',
    ),
    "encoded": (
        "video is encoded; send it as it is",
        "multipart/form-data; boundary=a",
        b'--a\r\nContent-Encoding: br\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n\r\n--a--',
    ),
}


@pytest.mark.parametrize(("says", "kind", "body"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_form_is_refused_and_leaves_nothing(kitchen: Kitchen, says: str, kind: str, body: bytes) -> None:
    problem = await kitchen.post(data=body, headers={"Content-Type": kind}, status=400)
    assert problem["type"].endswith(":broken-form") and says in problem["detail"]
    await kitchen.harness.until(lambda: kitchen.kept() == [])
    assert kitchen.started == []


async def test_a_caller_that_leaves_amid_an_upload_leaves_nothing(kitchen: Kitchen) -> None:
    async with raw_request(kitchen, "Content-Length: 100000") as (_, writer):
        writer.write(b'--a\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\nhalf of i')
        await kitchen.harness.until(lambda: len(kitchen.kept()) == 1)
    await kitchen.harness.until(lambda: kitchen.kept() == [])
    assert kitchen.started == []


class raw_request:  # noqa: N801
    """A request of which a test writes the bytes itself; closed at the end."""

    def __init__(self, kitchen: Kitchen, *headers: str, path: str = "/analyze") -> None:
        self.path = path
        self.port = kitchen.harness.client.port
        self.headers = ["Host: localhost", "Content-Type: multipart/form-data; boundary=a", *headers]

    async def __aenter__(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write("\r\n".join([f"POST {self.path} HTTP/1.1", *self.headers, "", ""]).encode())
        return reader, self.writer

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


async def test_who_prefers_not_to_wait_gets_the_job(kitchen: Kitchen) -> None:
    answer = await kitchen.post(status=202, headers={"Prefer": "respond-async"})
    assert answer["status"] in ("queued", "running")
    kitchen.endings.put_nowait("well")
    job = await kitchen.settled(Status.COMPLETED)
    assert job.id == answer["jobId"]


async def test_patience_ends_with_the_job_still_running(kitchen: Kitchen) -> None:
    caller = kitchen.asking()
    await kitchen.running()
    await kitchen.harness.clock.advance(WAIT - 1)
    assert not caller.done()
    caller.cancel()
    other = kitchen.asking(status=202)
    await kitchen.harness.until(lambda: kitchen.harness.readers >= 2)
    await kitchen.harness.clock.advance(WAIT)
    assert (await other) == {"jobId": kitchen.started[0][0], "status": "running"}


@pytest.mark.parametrize(
    ("ending", "status", "why"),
    [
        (Deterministic("it shows a cat", type="not_a_recipe"), 422, "deterministic"),
        (Transient("Gemini is down"), 502, "transient"),
        (TimeoutError(), 502, "timeout"),
    ],
)
async def test_a_failed_analysis_says_why_and_which_job_it_was(
    kitchen: Kitchen, ending: Exception, status: int, why: str
) -> None:
    kitchen.endings.put_nowait(ending)
    problem = await kitchen.post(status=status)
    assert problem["jobId"] == kitchen.started[0][0] and problem["error"]["class"] == why
    assert problem["detail"] == problem["error"]["message"]


async def test_a_cancelled_analysis_says_so(kitchen: Kitchen) -> None:
    caller = kitchen.asking("/analyze-from-url", json={"video_url": URL}, status=409)
    await kitchen.running()
    [job_id] = [job_id for job_id, _ in kitchen.started]
    cancelling = asyncio.ensure_future(kitchen.harness.queue.cancel(job_id))
    await kitchen.harness.until(lambda: kitchen.harness.stopped)
    kitchen.worker.stop_run(*kitchen.harness.stopped)
    await cancelling
    assert (await caller)["jobId"] == job_id


async def test_a_drain_answers_those_who_wait_and_takes_no_new_body(kitchen: Kitchen) -> None:
    caller = kitchen.asking(status=503)
    await kitchen.running()
    kitchen.harness.queue.draining = True
    async with raw_request(kitchen, "Content-Length: 100000") as (reader, _):
        assert b" 503 " in await reader.readline()
    kitchen.harness.stopping.set()
    problem = await caller
    assert problem["jobId"] == kitchen.started[0][0] and problem["error"] is None
    assert len(kitchen.kept()) == 1


async def test_twins_share_one_job_and_go_when_they_like(kitchen: Kitchen) -> None:
    first = kitchen.asking()
    await kitchen.running()
    second, third = kitchen.asking(), kitchen.asking()
    await kitchen.harness.until(lambda: kitchen.harness.readers >= 3)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    kitchen.endings.put_nowait("well")
    answers = await asyncio.gather(second, third)
    assert [answer["jobId"] for answer in answers] == [kitchen.started[0][0]] * 2
    assert len(kitchen.started) == 1


async def test_other_spellings_of_an_address_join_and_other_languages_do_not(kitchen: Kitchen) -> None:
    async def ask(url: str, **more: str) -> str:
        prefer = {"Prefer": "respond-async"}
        answer = await kitchen.post("/analyze-from-url", json={"video_url": url, **more}, status=202, headers=prefer)
        return str(answer["jobId"])

    job_id = await ask(URL)
    assert await ask(URL.replace("https://videos", "HTTPS://VIDEOS") + "#t=3") == job_id
    assert await ask(URL, language="de") != job_id


async def test_the_caller_that_leaves_loses_nothing(kitchen: Kitchen) -> None:
    caller = kitchen.asking()
    await kitchen.running()
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    kitchen.endings.put_nowait("well")
    job = await kitchen.settled(Status.COMPLETED)
    answer = await kitchen.post()
    assert (answer["jobId"], answer["recipe"]) == (job.id, RECIPE)
    metadata = {"cached": True, "language": None, "cost": 0, "gemini_tokens": dict.fromkeys(TOKENS, 0)}
    assert answer["metadata"] == metadata | {"original": {"cost": 0.01, "gemini_tokens": TOKENS}}
    assert len(kitchen.started) == 1


async def test_an_upload_goes_when_its_job_completed(kitchen: Kitchen) -> None:
    caller = kitchen.asking()
    await kitchen.running()
    assert kitchen.kept() == [hashlib.sha256(VIDEO).hexdigest()]
    kitchen.endings.put_nowait("well")
    await caller
    await kitchen.harness.until(lambda: kitchen.kept() == [])


async def test_an_upload_that_was_not_needed_goes_at_once(kitchen: Kitchen) -> None:
    kitchen.endings.put_nowait("well")
    await kitchen.post()
    assert (await kitchen.post())["metadata"]["cached"] is True
    await kitchen.harness.until(lambda: kitchen.kept() == [])


async def test_the_upload_of_a_failed_job_stays_for_its_retry_until_the_job_is_forgotten(kitchen: Kitchen) -> None:
    kitchen.endings.put_nowait(Deterministic("no"))
    problem = await kitchen.post(status=422)
    assert problem["error"]["message"] == "no"
    await kitchen.harness.clock.advance(SWEEP_EVERY)
    await asyncio.sleep(0.05)
    assert len(kitchen.kept()) == 1
    await kitchen.harness.call("POST", f"/api/jobs/{problem['jobId']}/retry")
    kitchen.endings.put_nowait("well")
    await kitchen.harness.until(lambda: kitchen.kept() == [])


async def test_what_an_earlier_life_left_is_swept(open_kitchen: Open, tmp_path: Path) -> None:
    needed = tmp_path / ("a" * 64)
    (tmp_path / ".incoming-cafe").touch()
    (tmp_path / ("b" * 64)).touch()
    needed.touch()
    kitchen = await open_kitchen(working=False)
    await kitchen.harness.queue.submit(Submission("analyze", {"videoPath": str(needed)}))
    async with running(kitchen.uploads.run(kitchen.harness.queue)):
        await kitchen.harness.until(lambda: len(kitchen.kept()) == 1)
    assert kitchen.kept() == [needed.name]


async def test_a_sweep_spares_what_is_handed_in_meanwhile(open_kitchen: Open) -> None:
    kitchen = await open_kitchen(working=False)
    looked, go_on = asyncio.Event(), asyncio.Event()
    find = kitchen.harness.store.find

    async def slow_find(*arguments: Any, **named: Any) -> Any:
        page = await find(*arguments, **named)
        looked.set()
        await go_on.wait()
        return page

    async def chunks() -> AsyncIterator[bytes]:
        yield VIDEO

    (kitchen.folder / hashlib.sha256(VIDEO).hexdigest()).touch()
    kitchen.harness.store.find = slow_find
    async with running(kitchen.uploads.run(kitchen.harness.queue)):
        await looked.wait()
        async with kitchen.uploads.received(chunks()) as upload:
            await kitchen.harness.queue.submit(Submission("analyze", {"videoPath": str(upload.path)}))
        go_on.set()
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(upload.path.read_bytes) == VIDEO


async def test_a_full_disk_refuses_and_leaves_nothing(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(incoming, "_append", full)
    problem = await kitchen.post(status=507)
    assert "disk is full" in problem["detail"]
    assert kitchen.kept() == [] and kitchen.started == []


async def test_a_disk_that_is_known_to_be_full_takes_no_body(kitchen: Kitchen) -> None:
    kitchen.refusal = StoreFull("the disk is full")
    async with raw_request(kitchen, "Content-Length: 100000") as (reader, _):
        assert b" 507 " in await reader.readline()


async def test_without_a_key_for_gemini_the_refusal_names_it(build: Any, tmp_path: Path) -> None:
    harness = await build(specs=[Kitchen(tmp_path).spec])
    for path in ("/analyze", "/analyze-from-url"):
        problem = await harness.answered(await harness.raw("POST", path, data=video()), path, 422)
        assert "GEMINI_API_KEY" in problem["detail"]


async def test_a_tenant_shares_no_job_and_is_told_of_none_but_its_own(kitchen: Kitchen) -> None:
    harness = kitchen.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    asking = [kitchen.asking(headers=one) for _ in range(2)]
    await harness.until(lambda: [job.sharers for job in harness.store._jobs.values()] == [2])
    asking.append(kitchen.asking(headers=two))
    await kitchen.running(2)
    for _ in range(2):
        kitchen.endings.put_nowait(None)
    first, same, other = [(await answer)["jobId"] for answer in asking]
    assert first == same != other
    late = kitchen.asking(headers=await harness.key("submit", name="three"))
    await kitchen.running(3)
    kitchen.endings.put_nowait(None)
    assert (await late)["jobId"] not in {first, other}, "who made what is stored stays untold"


async def test_an_upload_is_not_anothers_by_its_name(kitchen: Kitchen) -> None:
    harness = kitchen.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    asking = kitchen.asking(headers=one)
    await kitchen.running()
    [name] = kitchen.kept()
    for path in (
        f"{kitchen.folder}/{name}",
        f"{kitchen.folder}/../{kitchen.folder.name}/nobodys",
        f"/{kitchen.folder}/{name}",
    ):
        body = {"type": "analyze", "payload": {"videoPath": path}}
        problem = await harness.call("POST", "/api/jobs", body, status=422, headers=two)
        assert problem["errors"] == [
            {"field": "payload", "message": "names an upload; send the file itself to POST /analyze"}
        ]
        in_batch = await harness.call("POST", "/api/jobs/batch", {"jobs": [body]}, status=422, headers=two)
        assert in_batch["errors"] == problem["errors"]
    unknown = await harness.call(
        "POST", "/api/jobs/batch", {"jobs": [{"type": "no", "payload": {}}]}, status=422, headers=two
    )
    assert [fault["field"] for fault in unknown["errors"]] == ["jobs.0.type"], "as anybody is told"
    kitchen.endings.put_nowait(None)
    await asking
