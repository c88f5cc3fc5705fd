"""Artefacts that remote workers send: whole or not there, under their lease alone."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.files.artifacts import JobArtifacts
from secondunit.daemon.leasing.artifacts import check
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.queue.errors import BadPayload, StoreFull
from tests.http.harness import TTL, ApiHarness, Build
from tests.http.leases.scene import SPECS, lost, one, take


@pytest.fixture
def asked() -> list[str]:
    """Of which jobs it was asked what was sent."""
    return []


@pytest.fixture
async def harness(build: Build, tmp_path: Path, asked: list[str]) -> AsyncIterator[ApiHarness]:
    (media := tmp_path / "media").mkdir()
    files = LocalFiles([media])
    shelf: list[ApiHarness] = []

    async def sent(job_id: str) -> Any:
        asked.append(job_id)
        return await shelf[0].remote.artifacts.files(job_id)

    types = {spec.type: spec for spec in SPECS}
    artifacts = JobArtifacts(files, lambda id: tmp_path / id / "log", types, sent=sent)
    harness = await build(specs=SPECS, artifacts=artifacts, work=tmp_path / "work")
    shelf.append(harness)
    loops = [asyncio.create_task(loop) for loop in harness.remote.loops()]
    yield harness
    for loop in loops:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
    files.close()


async def send(harness: ApiHarness, path: str, name: str, content: bytes) -> tuple[int, Any]:
    answer = await harness.raw("PUT", f"{path}/artifacts/{name}", data=io.BytesIO(content))
    return answer.status, await answer.json()


def files_in(folder: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def in_two(first: bytes, last: bytes, gate: asyncio.Event) -> AsyncIterator[bytes]:
    """A body whose end comes once the gate is open."""
    yield first
    await gate.wait()
    yield last


async def test_what_a_worker_sent_is_listed_and_served(harness: ApiHarness, tmp_path: Path) -> None:
    job_id, path = await one(harness)
    status, answer = await send(harness, path, "page-1.txt", b"hello")
    assert (status, answer["size"], answer["name"]) == (200, 5, "page-1.txt")
    listed = await harness.call("GET", f"/api/jobs/{job_id}/artifacts")
    assert [(file["name"], file["size"]) for file in listed["artifacts"]] == [("page-1.txt", 5)]
    served = await harness.raw("GET", f"/api/jobs/{job_id}/artifacts/page-1.txt")
    assert await served.read() == b"hello"

    assert (await send(harness, path, "page-1.txt", b"again"))[0] == 200
    assert files_in(tmp_path / "work") == [b"again"]
    await harness.call("POST", f"{path}/release", {"reason": "later"})
    [lease] = await take(harness)
    assert lease["steps"] == {}  # it is no step of the worker's
    listed = await harness.call("GET", f"/api/jobs/{job_id}/artifacts")
    assert len(listed["artifacts"]) == 1


async def test_all_are_listed_at_once_but_one_that_has_gone(
    harness: ApiHarness, tmp_path: Path, asked: list[str]
) -> None:
    job_id, path = await one(harness)
    assert [(await send(harness, path, name, name.encode()))[0] for name in ("a", "bb", "ccc")] == [200] * 3
    [gone] = [file for file in (tmp_path / "work").rglob("*") if file.is_file() and file.stat().st_size == 2]
    gone.unlink()
    listed = await harness.call("GET", f"/api/jobs/{job_id}/artifacts")
    assert [file["name"] for file in listed["artifacts"]] == ["a", "ccc"]
    assert asked == [job_id]


async def test_a_stale_lease_keeps_nothing(harness: ApiHarness, tmp_path: Path) -> None:
    job_id, path = await one(harness)
    await harness.clock.advance(TTL.total_seconds())
    status, problem = await send(harness, path, "a.txt", b"stale")
    assert status == 409 and problem["type"].endswith("lease_lost")
    assert files_in(tmp_path / "work") == []
    await lost(harness, "PUT", path, {})
    assert (await harness.call("GET", f"/api/jobs/{job_id}/artifacts"))["artifacts"] == []


async def test_a_lease_that_is_lost_while_the_file_comes_keeps_nothing(harness: ApiHarness, tmp_path: Path) -> None:
    job_id, path = await one(harness)
    gate = asyncio.Event()
    body = in_two(b"first", b"last", gate)
    sending = asyncio.create_task(harness.raw("PUT", f"{path}/artifacts/a.txt", data=body))
    await harness.until(lambda: files_in(tmp_path / "work"))
    await harness.clock.advance(TTL.total_seconds())
    gate.set()
    assert (await sending).status == 409
    assert files_in(tmp_path / "work") == []
    assert await harness.store.steps.of_job(job_id) == []


async def test_a_file_that_is_cut_off_is_not_there(harness: ApiHarness, tmp_path: Path) -> None:
    job_id, path = await one(harness)

    async def torn() -> AsyncIterator[bytes]:
        yield b"first"
        await harness.until(lambda: files_in(tmp_path / "work"))
        raise OSError("the worker died")

    with suppress(OSError):
        await harness.raw("PUT", f"{path}/artifacts/a.txt", data=torn())
    await harness.until(lambda: not files_in(tmp_path / "work"))
    assert await harness.store.steps.of_job(job_id) == []


async def test_of_two_of_one_name_at_once_the_last_one_stays_and_nothing_of_the_other(
    harness: ApiHarness, tmp_path: Path
) -> None:
    job_id, path = await one(harness)
    gate = asyncio.Event()
    body = in_two(b"slow", b"er", gate)
    sending = asyncio.create_task(harness.raw("PUT", f"{path}/artifacts/a.txt", data=body))
    await harness.until(lambda: files_in(tmp_path / "work"))
    assert (await send(harness, path, "a.txt", b"quick"))[0] == 200
    assert b"quick" in files_in(tmp_path / "work") and len(files_in(tmp_path / "work")) == 2, (
        "the other one comes still"
    )
    gate.set()
    assert (await sending).status == 200
    assert files_in(tmp_path / "work") == [b"slower"]
    [listed] = (await harness.call("GET", f"/api/jobs/{job_id}/artifacts"))["artifacts"]
    assert listed["size"] == len(b"slower")


async def test_what_a_daemon_left_that_died_while_a_file_came_goes_with_the_next_one(
    harness: ApiHarness, tmp_path: Path
) -> None:
    job_id, path = await one(harness)
    await send(harness, path, "a", b"a")
    (tmp_path / "work" / job_id / "artifacts" / "1-half").write_bytes(b"ha")
    await send(harness, path, "b", b"b")
    assert files_in(tmp_path / "work") == [b"a", b"b"]


async def test_sizes_are_bounded(harness: ApiHarness, tmp_path: Path) -> None:
    _, path = await one(harness)

    async def unsized() -> AsyncIterator[bytes]:
        yield b"x" * 1001

    assert (await send(harness, path, "a", b"x" * 1001))[0] == 413
    assert (await harness.raw("PUT", f"{path}/artifacts/a", data=unsized())).status == 413
    assert [(await send(harness, path, name, b"x" * 1000))[0] for name in "abc"] == [200, 200, 413]
    assert (await send(harness, path, "a", b"y" * 900))[0] == 200  # in place of what it replaces
    assert len(files_in(tmp_path / "work")) == 2


async def test_a_disk_that_is_known_to_be_full_takes_no_artefact(harness: ApiHarness, tmp_path: Path) -> None:
    _, path = await one(harness)
    harness.refusal = StoreFull("the disk is full")
    status, problem = await send(harness, path, "a", b"x")
    assert status == 507 and "disk is full" in problem["detail"]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", ["..%2F..%2Fx", "a/b", ".hidden", "-x", "job.log", "a%00b", "n" * 121, "%C3%A9"])
async def test_no_name_leads_out_of_its_folder(harness: ApiHarness, tmp_path: Path, name: str) -> None:
    _, path = await one(harness)
    status, problem = await send(harness, path, name, b"x")
    assert status == 422 and problem["errors"][0]["field"] == "name"
    assert not (tmp_path / "work").exists()


def test_usual_names_are_taken() -> None:
    for name in ("a", "page-1.txt", "_x", "n" * 120):
        check(name)
    with pytest.raises(BadPayload, match="should be 1 to 120"):
        check("")


async def test_what_another_box_took_is_listed_with_it_and_told_of(harness: ApiHarness, tmp_path: Path) -> None:
    job_id, path = await one(harness)
    await send(harness, path, "counts.json", b"[1]")
    harness.remote.artifacts._box = "b2"  # as the daemon of another box, in whose folders it does not lie
    listed = f"/api/jobs/{job_id}/artifacts"
    assert (await harness.call("GET", f"{listed}/counts.json")) == [1], "a box may be called otherwise since"
    (tmp_path / "work").rename(tmp_path / "elsewhere")
    found = (await harness.call("GET", listed))["artifacts"]
    assert found == [{"name": "counts.json", "size": 3, "contentType": "application/json", "box": "b1"}]
    problem = await harness.call("GET", f"{listed}/counts.json", status=404)
    assert "lies on the box b1" in problem["detail"]
    [other] = (await send(harness, path, "counts.json", b"[1, 2]"),)
    assert other[0] == 200
    [again] = (await harness.call("GET", listed))["artifacts"]
    assert again == {"name": "counts.json", "size": 6, "contentType": "application/json"}, "here, since it was replaced"
