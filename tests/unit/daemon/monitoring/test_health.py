"""Health: the status, and the figures that an operator looks at first."""

from pathlib import Path

import pytest

from secondunit.daemon.automation.polls import Polling
from secondunit.testing.clock import START
from secondunit.testing.jobs import submit
from tests.unit.daemon.monitoring.breaks import dead_deliveries
from tests.unit.daemon.monitoring.watched import FREE, Watch


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


async def test_the_figures_are_of_this_moment(watch: Watch) -> None:
    await submit(watch.rig.store, "job_a", "job_b")
    await watch.rig.queue.pause("hls")
    watch.poller.state = Polling(polled_at=START)
    await watch.checkup()
    await watch.clock.advance(90)
    figures = (await watch.checkup()).figures or {}
    assert figures["queue"] == {"queued": 2, "running": 0, "queuedByType": {"hls": 2}, "runningByType": {}}
    assert (figures["oldestQueuedAt"], figures["oldestQueuedSeconds"]) == ("2030-01-01T00:00:00.000Z", 90.0)
    assert (figures["uptimeSeconds"], figures["lastPoll"]) == (90.0, "2030-01-01T00:00:00.000Z")
    assert (figures["types"], figures["pausedTypes"]) == (["asks", "hls"], ["hls"])
    assert figures["diskFreeBytes"] > 0


async def test_a_run_that_does_not_move_is_stuck_after_its_types_own_patience(watch: Watch) -> None:
    await submit(watch.rig.store, "job_a")
    lease = FREE.stall * 3
    await watch.rig.store.claim({"hls": 1}, 1, "boot", lease, watch.clock.now())
    await watch.clock.advance(FREE.stall.total_seconds())
    assert (await watch.checkup()).status == "ok"
    await watch.clock.advance(1)
    report = await watch.checkup()
    assert (report.status, (report.figures or {})["stuckJobs"]) == ("degraded", ["job_a"])


async def test_the_job_whose_delivery_was_given_up_is_named(watch: Watch) -> None:
    await dead_deliveries(watch)
    [reason] = (await watch.checkup()).reasons
    assert reason.startswith("dead_deliveries: 1 deliveries were given up, of job_a; `secondunit jobs deliveries JOB`")


async def test_a_draining_daemon_says_so_whatever_else_is_wrong(watch: Watch) -> None:
    watch.disk.closed = True
    watch.rig.queue.draining = True
    report = await watch.checkup()
    assert report.status == "draining" and len(report.reasons) == 1
