import asyncio
from pathlib import Path
from typing import Any

import pytest

from secondunit.queue.errors import LeaseLost
from secondunit.queue.model import Change
from secondunit.queue.outcome import Deterministic
from secondunit.queue.payloads.arguments import LARGEST_JSON
from secondunit.queue.running.context import FULL_DISK_PAUSE
from secondunit.queue.value import replace
from secondunit.testing.jobs import listened
from tests.unit.queue.running.context.scene import Runs, Work


async def test_a_finished_step_is_not_done_again() -> None:
    runs, work = Runs(), Work({"n": 1}, {"n": 2})
    assert await (await runs.begin()).step("s", work) == {"n": 1}
    ctx = await runs.begin()
    assert await ctx.step("s", work) == {"n": 1}
    assert await ctx.step("other", work) == {"n": 2}
    assert work.done == 2


async def test_a_step_that_failed_is_done_again() -> None:
    runs, work = Runs(), Work(RuntimeError("no"), "yes")
    with pytest.raises(RuntimeError):
        await (await runs.begin()).step("s", work)
    assert await (await runs.begin()).step("s", work) == "yes"


async def test_a_step_is_done_again_when_a_file_it_made_is_gone(tmp_path: Path) -> None:
    runs, work, file = Runs(), Work("made"), tmp_path / "made"
    file.touch()

    def keeps(result: str) -> list[Path]:
        return [tmp_path, tmp_path / result]

    for expected in (1, 1):
        await (await runs.begin()).step("s", work, keeps=keeps)
        assert work.done == expected
    file.unlink()
    with pytest.raises(FileNotFoundError):  # what is not there can't be kept
        await (await runs.begin()).step("s", work, keeps=keeps)
    assert work.done == 2


@pytest.mark.parametrize("now", [b"", b"picturf", b"pictur", None])
async def test_a_step_is_done_again_when_a_file_it_made_is_no_longer_the_same(
    tmp_path: Path, now: bytes | None
) -> None:
    file = tmp_path / "made"
    made = 0

    async def make() -> str:
        nonlocal made
        made += 1
        if now is None and made > 1:
            await asyncio.to_thread(file.rmdir)
        await asyncio.to_thread(file.write_bytes, b"picture")
        return "made"

    runs = Runs()
    for _ in range(2):
        await (await runs.begin()).step("s", make, keeps=lambda name: [tmp_path / name])
    assert made == 1
    if now is None:
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(now)
    await (await runs.begin()).step("s", make, keeps=lambda name: [tmp_path / name])
    assert (made, file.read_bytes()) == (2, b"picture")


async def test_a_file_is_on_the_disk_with_its_folders_before_its_step_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    at_the_store: list[str] = []
    folder = tmp_path / "work" / "kept"
    folder.mkdir(parents=True)
    runs = Runs()
    finish = runs.store.steps.finish

    async def noted(*args: Any, **named: Any) -> Any:
        at_the_store.extend(synced)
        return await finish(*args, **named)

    monkeypatch.setattr(runs.store.steps, "finish", noted)

    async def make() -> str:
        await asyncio.to_thread((folder / "made").write_bytes, b"picture")
        return "made"

    await (await runs.begin()).step("s", make, keeps=lambda name: [folder / name])
    assert at_the_store[0] == str(folder / "made")
    assert {str(folder), str(tmp_path / "work"), str(tmp_path)} <= set(at_the_store)


async def test_a_steps_result_is_the_same_now_and_later() -> None:
    runs, work = Runs(), Work({1: ("a", None)})
    now = await (await runs.begin()).step("s", work)
    assert now == await (await runs.begin()).step("s", work) == {"1": ["a", None]}


@pytest.mark.parametrize(
    ("result", "type"), [({1, 2}, "not_json"), (float("nan"), "not_json"), ("x" * LARGEST_JSON, "too_large")]
)
async def test_a_result_that_can_not_be_stored_fails_its_step(result: Any, type: str) -> None:
    runs = Runs()
    ctx = await runs.begin()
    with pytest.raises(Deterministic) as caught:
        await ctx.step("s", Work(result))
    assert caught.value.type == type
    assert await runs.store.steps.get("a", "s") is None


async def test_a_finished_step_clears_earlier_deaths_of_the_daemon() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await runs.change("a", lambda job: Change(replace(job, reclaims=2)))
    await ctx.step("s", Work("done"))
    assert (await runs.job("a")).reclaims == 0


async def test_a_step_counts_as_moving_also_when_it_is_remembered() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for expected in (10, 20):
        await runs.clock.advance(10)
        await ctx.step("s", Work("done"))
        assert ctx.moved == expected


async def test_a_cancellation_does_not_lose_a_result_that_is_being_stored() -> None:
    runs, work = Runs(), Work("paid for")
    ctx = await runs.begin()
    runs.store.full = True
    stepping = asyncio.create_task(ctx.step("s", work, paid="fail"))
    # the intent must be on disk before the call
    await runs.clock.settle()
    assert work.done == 0 and stepping.done()
    stepping.exception()

    async def then_full() -> str:
        runs.store.full = True
        return "paid for"

    runs.store.full = False
    stepping = asyncio.create_task(ctx.step("s", then_full, paid="fail"))
    await runs.clock.settle()
    stepping.cancel()
    await runs.clock.settle()
    assert not stepping.done()
    runs.store.full = False
    await runs.clock.advance(FULL_DISK_PAUSE)
    with pytest.raises(asyncio.CancelledError):
        await stepping
    assert await (await runs.begin()).step("s", work, paid="fail") == "paid for"
    assert work.done == 0


async def test_a_second_cancellation_ends_a_step_that_waits_for_room() -> None:
    runs = Runs()
    ctx = await runs.begin()
    runs.store.full = True
    stepping = asyncio.create_task(ctx.step("s", Work("x")))
    for _ in range(2):
        await runs.clock.settle()
        stepping.cancel()
    await runs.clock.settle()
    assert stepping.cancelled() and runs.clock.sleepers == 0


@pytest.mark.parametrize("paid", [None, "repeat"])
async def test_a_run_that_lost_its_lease_can_write_nothing(paid: Any) -> None:
    runs = Runs()
    old, work = await runs.begin(), Work("x")
    await runs.begin()
    before, heard = await runs.job("a"), listened(runs.store)
    with pytest.raises(LeaseLost):
        await old.progress(0.5)
    with pytest.raises(LeaseLost):
        await old.stats(n=1)
    with pytest.raises(LeaseLost):
        await old.step("s", work, paid=paid)
    assert work.done == (0 if paid else 1), "a paid call is not even sent"
    assert (await runs.job("a"), await runs.store.steps.get("a", "s"), heard) == (before, None, [])
