"""Conditions: each one known reaches /health, the metric and the alert alike, and says since when and what to do."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.daemon.config.job_types import BrokenJobType
from secondunit.daemon.monitoring.condition_kinds import KINDS
from secondunit.daemon.monitoring.health import LOOK_EVERY
from secondunit.queue.value import replace
from secondunit.testing.clock import START
from secondunit.testing.jobs import submit
from tests.unit.daemon.monitoring.breaks import (
    BREAKS,
    box,
    disk_full,
    geocoder_trouble,
    polled,
    rooted,
    store_broken,
    unknown_type,
)
from tests.unit.daemon.monitoring.watched import AFTER, FREE, Watch

DOCS = Path(__file__).parents[4] / "docs" / "conditions.md"
FIGURES = re.compile(r"\d+")
WORDS = [kind.word for kind in KINDS]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


@asynccontextmanager
async def watching(watch: Watch) -> AsyncIterator[Watch]:
    """The daemon looks now and then, and tells of what it finds."""
    loops = [asyncio.create_task(loop) for loop in (watch.checkup.run(), watch.alerts.run(watch.send))]
    try:
        yield watch
    finally:
        for task in loops:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.mark.parametrize("word", WORDS)
async def test_every_condition_reaches_health_the_metric_and_the_alert(watch: Watch, word: str) -> None:
    assert word in BREAKS, "say here how it comes about"
    await BREAKS[word](watch)
    async with watching(watch):
        await watch.clock.advance(AFTER.total_seconds() + 2 * LOOK_EVERY.total_seconds())
        report = await watch.checkup()
        [condition] = [condition for condition in report.conditions if condition.word == word]
        assert condition.text and condition.remedy and condition.since <= watch.clock.now()
        assert f"{word}: {condition.text}; {condition.remedy}" in report.reasons
        assert report.status == ("failing" if word == "store_broken" else "degraded")
        assert word in await watch.degraded()
        [alert] = [message for message in watch.taken if message["alert"] == word]
        assert alert["state"] == "firing"
        # But for figures: others write to this disk too, and the alert is older.
        assert FIGURES.sub("N", alert["text"]) == FIGURES.sub("N", f"box-1: {condition.sentence}")
        assert set(watch.told) == {(reason.partition(":")[0], "firing") for reason in report.reasons}


async def test_where_all_is_well_nothing_is_told_anywhere(watch: Watch) -> None:
    async with watching(watch):
        await watch.clock.advance(AFTER.total_seconds() + 60)
        report = await watch.checkup()
        assert (report.status, list(report.reasons), await watch.degraded(), watch.taken) == ("ok", [], set(), [])


async def test_what_is_looked_at_because_somebody_asks_feeds_the_others_too(watch: Watch) -> None:
    async with watching(watch):
        await watch.clock.settle()
        await disk_full(watch)
        await watch.checkup()
        assert await watch.degraded() == {"disk_full"}
        await watch.clock.settle()
        assert watch.told == [("disk_full", "firing")]
        watch.disk.closed = False
        await watch.checkup()
        await watch.clock.settle()
        assert (await watch.degraded(), watch.told[1:]) == (set(), [])
        await watch.clock.advance(AFTER.total_seconds())
        await watch.checkup()
        await watch.clock.settle()
        assert watch.told[1:] == [("disk_full", "resolved")]
        assert watch.taken[-1]["text"] == "box-1: there is room on the disk of DATA_DIR, new jobs are taken"


async def test_since_is_when_it_was_first_seen_and_starts_anew_once_it_was_over(watch: Watch) -> None:
    watch.disk.closed = True
    began = watch.clock.now()
    await watch.checkup()
    await watch.clock.advance(600)
    await watch.checkup()
    assert [condition.since for condition in watch.seen] == [began]
    watch.disk.closed = False
    await watch.checkup()
    assert not watch.seen
    watch.disk.closed = True
    await watch.checkup()
    assert [condition.since for condition in watch.seen] == [began + timedelta(seconds=600)]


async def test_each_of_several_things_has_a_since_of_its_own(watch: Watch) -> None:
    watch.box["broken"] = broken = [BrokenJobType("a", "x")]
    await watch.checkup()
    await watch.clock.advance(60)
    broken.append(BrokenJobType("b", "y"))
    await watch.checkup()
    assert [(c.subject, c.since - START) for c in watch.seen] == [("a", timedelta(0)), ("b", timedelta(seconds=60))]
    assert await watch.degraded() == {"plugin_broken"}


async def test_a_backend_is_down_since_it_gave_no_list_not_since_somebody_looked(watch: Watch) -> None:
    await watch.clock.advance(600)
    await polled(watch, down_since=START, trouble="answered 500")
    [reason] = (await watch.checkup()).reasons
    assert watch.seen[0].since == START and "2030-01-01T00:00:00.000Z: answered 500" in reason


async def test_a_broken_store_hides_what_stands_in_it_and_nothing_else(watch: Watch) -> None:
    await unknown_type(watch)
    await geocoder_trouble(watch)
    await store_broken(watch)
    report = await watch.checkup()
    assert [condition.word for condition in watch.seen] == ["store_broken", "geocoder_trouble"]
    assert (report.status, report.figures) == ("failing", {"version": "1"})


async def test_a_gemini_key_is_missed_only_where_something_needs_it(watch: Watch) -> None:
    watch.box |= {"gemini": False, "mode": "passive"}
    report = await watch.checkup()
    assert (report.status, report.reasons) == ("ok", []), "it does all that it is asked"
    assert report.notes == ["asks is refused: GEMINI_API_KEY is not set"]
    await submit(watch.rig.store, "job_a", type="asks")
    [reason] = (await watch.checkup()).reasons
    assert reason == (
        "gemini_key_missing: without a key for Gemini 1 queued asks jobs can't run; set GEMINI_API_KEY and restart"
    )
    active = Watch(watch.box["data_dir"])
    active.box["gemini"] = False
    [reason] = (await active.checkup()).reasons
    assert "without a key for Gemini nothing is polled; " in reason
    free = Watch(watch.box["data_dir"], FREE)
    free.box |= {"gemini": False, "mode": "passive"}
    assert not (await free.checkup()).notes


async def test_a_database_that_is_still_looked_through_is_no_fault_and_told(watch: Watch) -> None:
    watch.rig.store.engine.unchecked = True  # type: ignore[misc]  # a test's store says what it is told to
    report = await watch.checkup()
    assert report.status == "ok"
    assert report.notes == ["the database is still looked through for damage since the start; jobs run meanwhile"]


async def test_a_box_that_is_gone_is_told_of_while_something_waits_for_it(watch: Watch) -> None:
    await submit(watch.rig.store, "job_a", type="thumbnail")
    gone = box(watch, "far", running=2, thumbnail=1)
    for boxes, sentence in (
        ([box(watch, "far", "up", thumbnail=1)], None),
        ([gone], "jobs run under its leases: 2"),
        ([replace(gone, waiting=3)], "jobs wait for it whose inputs are files there: 3"),
        ([box(watch, "far", "up", thumbnail=1), box(watch, "gone", webp=1)], None),
        ([replace(gone, running={})], "no other serves queued jobs of thumbnail"),
        ([replace(gone, running={}), box(watch, "near", "draining", thumbnail=1)], None),
        ([replace(gone, running={}, limits={"webp": 1}), box(watch, "near", "up", thumbnail=1)], None),
    ):
        watch.boxes = boxes
        reasons = (await watch.checkup()).reasons
        assert [reason.partition(":")[0] for reason in reasons] == (["box_gone"] if sentence else [])
        assert sentence is None or sentence in reasons[0]


async def test_a_drained_box_is_well_and_says_so(watch: Watch) -> None:
    own = box(watch, "box-1", "draining", hls=1)
    watch.boxes = [replace(own, row=replace(own.row, drained=True)), box(watch, "far")]
    report = await watch.checkup()
    assert report.status == "ok" and report.figures is not None
    assert report.figures["boxes"] == {"up": 0, "draining": 1, "gone": 1}
    assert [note for note in report.notes if "secondunit boxes resume box-1" in note]


async def test_queued_jobs_of_unknown_types_are_named_and_others_are_not(watch: Watch) -> None:
    await submit(watch.rig.store, "job_a", type="gone")
    await submit(watch.rig.store, "job_b")
    [reason] = (await watch.checkup()).reasons
    assert "gone" in reason and "hls" not in reason


async def test_a_full_disk_is_not_low_as_well(watch: Watch) -> None:
    await rooted(watch, free=0, shared=True)  # a root on the disk of DATA_DIR
    watch.box["least_free"] = 1 << 62
    watch.disk.closed = True
    await watch.checkup()
    assert [condition.word for condition in watch.seen] == ["disk_full"]


async def test_failed_jobs_of_the_backend_are_wrong_above_the_number_only(watch: Watch) -> None:
    await polled(watch, found=10)
    assert not (await watch.checkup()).reasons


def test_a_condition_has_one_word_a_remedy_and_a_line_in_the_docs() -> None:
    assert len(WORDS) == len(set(WORDS)) and set(BREAKS) == set(WORDS)
    assert [kind.word for kind in KINDS if not (kind.remedy.strip() and kind.over.strip())] == []
    listed = [line.split("`")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert listed == WORDS
