"""What a move leaves behind: phases, the memory of runs, notices, events, durations."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.changes import RUNS_KEPT
from secondunit.queue.errors import LeaseLost, NotAllowed
from secondunit.queue.model import Change, Job, Run, Status
from secondunit.queue.outcome import Completed, Outcome, Partial, Released
from secondunit.testing.jobs import BOOT, BROKEN, CALLBACK, FLAKY, NOW, TTL, NoJitter, later
from tests.unit.queue.state.scene import OUTCOMES, ended, queued, running, settle


def test_the_phases_of_a_run_are_kept_with_it_and_begin_anew_with_the_next() -> None:
    job = running()
    for second, name in ((1, "probe"), (2, "probe"), (5, "encode"), (9, None), (10, "publish")):
        job = state.progress(job, 0.1, None, name, later(second)).job
    assert [(one.name, one.at) for one in job.phases] == [
        ("probe", later(1)), ("encode", later(5)), ("publish", later(10)),
    ]  # fmt: skip
    assert [one.took for one in job.phases] == [timedelta(seconds=4), timedelta(seconds=4), None]
    back = state.settle(job, FLAKY, NoJitter(), later(12)).job
    assert [one.took for one in back.runs[-1].phases] == [timedelta(seconds=n) for n in (4, 4, 2)]
    assert back.phases == ()
    assert state.start(back, BOOT, TTL, later(13)).job.phases == ()


def test_of_many_phases_the_last_twenty_are_kept() -> None:
    job = running()
    for n in range(30):
        job = state.progress(job, 0.1, None, f"phase {n}", later(n)).job
    assert [one.name for one in job.phases] == [f"phase {n}" for n in range(10, 30)]


def test_a_phase_is_entered_once() -> None:
    job = state.progress(running(), 0.1, None, "one", later(5)).job
    job = state.progress(job, 0.2, None, "one", later(6)).job
    assert job.entered_at == later(5)
    assert state.progress(job, 0.2, None, "two", later(7)).job.entered_at == later(7)


@pytest.mark.parametrize("job", [queued(), ended()])
def test_a_job_that_does_not_run_has_no_lease_to_lose(job: Job) -> None:
    with pytest.raises(LeaseLost):
        state.expire(job, NOW)
    with pytest.raises(NotAllowed):
        state.recover(job, NOW)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_every_run_is_remembered(outcome: Outcome) -> None:
    job = settle(running(attempt=2), outcome).job
    [run] = job.runs
    assert (run.attempt, run.epoch, run.started_at, run.finished_at) == (2, 1, later(1), later(10))
    assert job.lease is None and job.updated_at == later(10)


def test_the_memory_of_runs_is_bounded() -> None:
    run = Run(1, 1, NOW, NOW, "interrupted")
    old = running(runs=(run,) * RUNS_KEPT)
    for move in _moves_that_end_a_run():
        runs = move(old).job.runs
        assert len(runs) == RUNS_KEPT and runs[-1] is not run


def test_a_notice_tells_how_the_job_ended() -> None:
    job = running(source="backend", labels={"video": "v"}, epoch=7)
    notice = settle(job, Partial({"n": 1}, ["x"])).notice
    assert notice is not None
    assert (notice.target, notice.job_id, notice.job_type, notice.status) == (CALLBACK, "a", "hls", Status.PARTIAL)
    assert (notice.epoch, notice.at, notice.result, notice.error) == (7, later(10), {"n": 1}, None)
    assert (notice.duration, notice.source, notice.labels) == (timedelta(seconds=9), "backend", {"video": "v"})


def test_an_event_tells_how_the_job_stands() -> None:
    change = settle(running(attempt=2), FLAKY)
    event, job = change.event, change.job
    assert event is not None
    assert (event.job_id, event.job_type, event.at, event.seq) == ("a", "hls", later(10), 0)
    assert (event.status, event.attempt, event.message) == (job.status, 3, "try again")
    assert (event.error, event.run_at, event.progress) == (job.error, job.run_at, 0.0)


def test_figures_are_merged() -> None:
    job = state.with_stats(running(), {"a": 1, "b": 2}, later(2)).job
    assert state.with_stats(job, {"b": 3}, later(3)).job.stats == {"a": 1, "b": 3}


def _moves_that_end_a_run() -> list[Callable[[Job], Change]]:
    return [
        lambda job: settle(job, Completed(1)),
        lambda job: settle(job, FLAKY),
        lambda job: settle(job, Released("drain")),
        lambda job: state.expire(job, NOW),
        lambda job: state.recover(job, NOW),
    ]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_run_took_as_long_as_was_measured_whatever_the_clock_says(outcome: Outcome) -> None:
    took = timedelta(seconds=7)
    for now in (later(10), later(3610), later(-3600)):
        change = state.settle(running(), outcome, NoJitter(), now, took)
        assert (change.job.runs[-1].took, change.job.worked) == (took, took)
        assert change.event is not None and change.event.duration == took
        if change.notice:
            assert change.notice.duration == change.job.duration == took


def test_a_run_whose_end_nobody_measured_took_what_the_wall_clock_says_and_never_less_than_nothing() -> None:
    for seconds, took in ((31, 30), (-3600, 0)):
        job = state.expire(running(), later(seconds)).job
        assert job.runs[-1].took == timedelta(seconds=took) == job.worked
    assert state.settle(running(), BROKEN, NoJitter(), later(9), timedelta(seconds=-1)).job.duration == timedelta(0)


def test_the_first_start_and_the_time_of_all_runs_outlive_retries() -> None:
    job = state.settle(running(), FLAKY, NoJitter(), later(3), timedelta(seconds=2)).job
    job = state.start(job, BOOT, TTL, later(60)).job
    job = state.settle(job, BROKEN, NoJitter(), later(65), timedelta(seconds=5)).job
    assert (job.first_started_at, job.started_at) == (later(1), later(60))
    assert (job.duration, job.worked) == (timedelta(seconds=5), timedelta(seconds=7))
    job = state.retry(job, later(100)).job
    assert (job.first_started_at, job.started_at, job.duration, job.worked) == (
        later(1),
        None,
        None,
        timedelta(seconds=7),
    )
    assert state.cancel(job, later(101)).job.duration is None, "of its new life it never ran"


def test_a_job_that_never_ran_took_no_time() -> None:
    change = state.cancel(queued(), later(9))
    assert (change.job.duration, change.job.worked, change.job.first_started_at) == (None, timedelta(0), None)
    assert change.event is not None and change.event.duration is None
