import asyncio
import errno
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from secondunit.daemon.files import incoming
from secondunit.daemon.files.uploads import SWEEP_EVERY
from secondunit.queue.errors import StoreFull
from secondunit.queue.model import Submission
from secondunit.queue.outcome import Deterministic
from tests.http.analyses.kitchen import ANY, LIMIT, VIDEO, Kitchen, Open, raw_request, running, video


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
