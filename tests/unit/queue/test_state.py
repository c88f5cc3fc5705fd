"""The rules of the state machine, each move for itself; what a store makes of them is in the contract."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.changes import RUNS_KEPT
from secondunit.queue.errors import LeaseLost, NotAllowed
from secondunit.queue.model import Bonds, Change, Job, Lease, Run, Status, Submission, Suspicion
from secondunit.queue.outcome import Completed, Failed, JobError, Outcome, Partial, Postpone, Released, Stopped
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.value import replace
from secondunit.testing.full_values import full
from secondunit.testing.jobs import BOOT, BROKEN, CALLBACK, FLAKY, NOW, TTL, NoJitter, later, new

MINUTE = timedelta(minutes=1)
TIMED_OUT = Failed(JobError("timeout", "timeout", "too slow"))
CANCELLED = JobError("cancelled", "cancelled", "cancelled on request")
OUTCOMES: list[Outcome] = [
    Completed(1),
    Partial(1, [2]),
    BROKEN,
    FLAKY,
    TIMED_OUT,
    Postpone(MINUTE, "quota"),
    Released("drain"),
    Stopped(),
]


def queued(**fields: Any) -> Job:
    return new("a", target=CALLBACK, **fields).job


def running(**fields: Any) -> Job:
    return replace(state.start(queued(), BOOT, TTL, later(1)).job, **fields)


def ended(status: Status = Status.FAILED) -> Job:
    return replace(settle(running(), BROKEN).job, status=status)


def settle(job: Job, outcome: Outcome, seconds: float = 10) -> Change:
    return state.settle(job, outcome, NoJitter(), later(seconds))


def happened(change: Change) -> str | None:
    return change.event.name if change.event else None


def test_a_new_job_is_queued_and_says_so() -> None:
    change = new("a", priority=0, labels={"k": "v"}, run_at=later(9))
    job = change.job
    assert (job.id, job.status, job.attempt, job.epoch, job.seq, job.lease) == ("a", Status.QUEUED, 1, 0, 0, None)
    assert (job.created_at, job.updated_at, job.run_at) == (NOW, NOW, later(9))
    assert (happened(change), change.notice) == ("queued", None)


def test_a_new_job_has_everything_that_was_asked_for() -> None:
    asked = full(Submission)
    job = state.submit(asked, "a", NOW).job
    wanted = {name: getattr(asked, name) for name in Submission.__struct_fields__}
    assert {name: getattr(job, name) for name in wanted} == wanted
    assert [name for name, value in wanted.items() if value == getattr(Submission("hls", {}), name)] == []


def test_what_a_submission_leaves_open_comes_from_its_type() -> None:
    job = state.submit(Submission("hls", {}), "a", NOW, 4, RetryPolicy(9)).job
    assert (job.priority, job.retry) == (4, RetryPolicy(9))


def test_a_start_gives_a_lease_under_a_new_epoch() -> None:
    change = state.start(replace(queued(), epoch=4, run_at=NOW, message="waiting", phase="x"), BOOT, TTL, later(1))
    job = change.job
    assert job.lease == Lease("a", 5, BOOT, later(31))
    assert (job.status, job.epoch, job.run_at, job.message, job.phase) == (Status.RUNNING, 5, None, None, None)
    assert (job.started_at, job.updated_at) == (later(1), later(1))
    assert happened(change) == "started"


def test_a_job_that_waited_for_others_starts_no_sooner_than_they_ended() -> None:
    child = replace(queued(bonds=Bonds(depends_on=("parent",))), updated_at=later(5))
    change = state.start(child, BOOT, TTL, later(4))
    assert change.job.started_at == change.job.first_started_at == later(5) and change.event is not None
    assert change.event.at == later(5)
    assert state.start(child, BOOT, TTL, later(6)).job.started_at == later(6)
    assert state.start(replace(queued(), updated_at=later(5)), BOOT, TTL, later(4)).job.started_at == later(4), (
        "a clock was set"
    )


@pytest.mark.parametrize("job", [running(), ended(), ended(Status.COMPLETED), ended(Status.CANCELLED)])
def test_only_a_queued_job_can_start(job: Job) -> None:
    with pytest.raises(NotAllowed):
        state.start(job, BOOT, TTL, later(2))


def test_progress_never_falls() -> None:
    job = running()
    for reported, shown in [(0.2, 0.2), (0.1, 0.2), (-5, 0.2), (float("nan"), 0.2), (0.5, 0.5), (7, 1.0), (0.9, 1.0)]:
        change = state.progress(job, reported, "m", "p", later(3))
        job = change.job
        assert (job.progress, job.message, job.phase, change.event, change.notice) == (shown, "m", "p", None, None)


@pytest.mark.parametrize(
    ("outcome", "status", "missing"),
    [(Completed({"n": 1}), Status.COMPLETED, None), (Partial({"n": 1}, ["x"]), Status.PARTIAL, ["x"])],
)
def test_finished_work_ends_the_job_with_its_result(outcome: Outcome, status: Status, missing: object) -> None:
    change = settle(running(progress=0.3), outcome)
    job = change.job
    assert (job.status, job.result, job.missing, job.error) == (status, {"n": 1}, missing, None)
    assert (job.progress, job.lease, job.finished_at) == (1.0, None, later(10))
    assert happened(change) == status.value


@pytest.mark.parametrize("outcome", [Completed(1), Partial(1, [])])
def test_finished_work_wins_over_a_wish_to_cancel(outcome: Outcome) -> None:
    assert settle(running(cancel_requested=True), outcome).job.status in (Status.COMPLETED, Status.PARTIAL)


@pytest.mark.parametrize("outcome", [BROKEN, FLAKY, TIMED_OUT, Postpone(MINUTE, "quota"), Released("drain"), Stopped()])
def test_a_wish_to_cancel_wins_over_everything_else(outcome: Outcome) -> None:
    change = settle(running(cancel_requested=True), outcome)
    assert (change.job.status, change.job.error, happened(change)) == (Status.CANCELLED, CANCELLED, "cancelled")


def test_a_deterministic_failure_ends_the_job_at_once() -> None:
    change = settle(running(progress=0.4), BROKEN)
    job = change.job
    assert (job.status, job.error, job.attempt, job.run_at) == (Status.FAILED, BROKEN.error, 1, None)
    assert (job.progress, job.message, happened(change)) == (0.4, "it is broken", "failed")


@pytest.mark.parametrize("outcome", [FLAKY, TIMED_OUT])
def test_a_failure_that_may_pass_is_tried_again_after_a_wait(outcome: Failed) -> None:
    change = settle(running(progress=0.4, phase="p"), outcome)
    job = change.job
    assert (job.status, job.attempt, job.run_at) == (Status.QUEUED, 2, later(11))
    assert (job.progress, job.phase, job.error, job.lease) == (0.0, None, outcome.error, None)
    assert (happened(change), change.notice) == ("retrying", None)
    assert change.event is not None and change.event.run_at == later(11)


def test_a_wait_that_was_asked_for_can_only_lengthen_the_delay() -> None:
    longer, shorter = replace(FLAKY, delay=MINUTE), replace(FLAKY, delay=timedelta(milliseconds=1))
    assert settle(running(), longer).job.run_at == later(70)
    assert settle(running(), shorter).job.run_at == later(11)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_there_are_as_many_attempts_as_retries_and_one(retries: int) -> None:
    job, attempts = queued(retry=RetryPolicy(retries)), 0
    while not job.status.ended:
        job = settle(state.start(job, BOOT, TTL, NOW).job, FLAKY).job
        attempts += 1
    assert (attempts, job.attempt, job.status, job.error) == (retries + 1, retries + 1, Status.FAILED, FLAKY.error)


@pytest.mark.parametrize("outcome", [Released("drain"), Postpone(MINUTE, "quota")])
def test_an_interruption_costs_no_attempt(outcome: Outcome) -> None:
    before = running(attempt=3, reclaims=1, progress=0.9)
    change = settle(before, outcome)
    job = change.job
    assert (job.status, job.attempt, job.reclaims, job.interruptions) == (Status.QUEUED, 3, 1, 1)
    assert (job.progress, job.error, job.epoch) == (0.0, None, before.epoch)
    assert (happened(change), change.notice) == ("queued", None)


def test_a_released_job_is_ready_at_once_and_a_postponed_one_later() -> None:
    assert settle(running(), Released("drain")).job.run_at is None
    postponed = settle(running(), Postpone(MINUTE, "quota")).job
    assert (postponed.run_at, postponed.message) == (later(70), "quota")


def test_the_history_says_why_a_run_was_put_off_or_interrupted() -> None:
    for outcome in (Released("drain"), Postpone(MINUTE, "quota")):
        assert settle(running(), outcome).job.runs[-1].why == outcome.why


def test_a_lost_run_is_queued_again_at_no_cost() -> None:
    job = running(attempt=2, progress=0.5)
    for _ in range(2 * state.POISON_AFTER):
        change = state.expire(job, later(40))
        lost = change.job
        assert (lost.status, lost.attempt, lost.reclaims, lost.run_at, lost.progress) == (
            Status.QUEUED,
            2,
            0,
            None,
            0.0,
        )
        assert (lost.suspicion, lost.runs[-1].outcome, happened(change)) == (None, "lost", "queued")
        assert change.notice is None
        job = state.start(lost, BOOT, TTL, later(40)).job


def test_a_job_that_the_daemon_dies_under_again_and_again_is_poison() -> None:
    job = queued()
    for reclaims in (1, 2):
        job = state.bury(state.start(job, BOOT, TTL, NOW).job, 0, True, NOW).job
        assert (job.status, job.reclaims, job.attempt) == (Status.QUEUED, reclaims, 1)
        assert job.runs[-1].outcome == "crashed"
        assert f"{reclaims} of 3 times" in (job.message or "") and job.runs[-1].why == job.message
    change = state.bury(state.start(job, BOOT, TTL, NOW).job, 0, True, NOW)
    assert (change.job.status, change.job.suspicion, happened(change)) == (Status.FAILED, None, "failed")
    assert change.job.error is not None
    assert (change.job.error.kind, change.job.error.type) == ("deterministic", "poison")
    assert change.notice is not None


def test_a_finished_step_shows_that_the_job_is_no_poison() -> None:
    change = state.step_done(running(reclaims=2), later(5))
    assert (change.job.reclaims, change.job.updated_at, change.event) == (0, later(5), None)
    assert state.expire(change.job, later(40)).job.status is Status.QUEUED


def test_a_failed_attempt_does_not_show_that_the_job_is_no_poison() -> None:
    assert settle(running(reclaims=2), FLAKY).job.reclaims == 2


def test_a_lost_run_that_was_to_be_cancelled_is_cancelled() -> None:
    wanted = running(cancel_requested=True, reclaims=2)
    for change in (state.expire(wanted, later(40)), state.bury(wanted, 0, True, later(40))):
        assert (change.job.status, happened(change)) == (Status.CANCELLED, "cancelled")


def test_a_death_that_may_be_anothers_fault_makes_a_suspect_and_counts_for_nothing() -> None:
    job = running(progress=0.4, phase="encode", entered_at=later(9))
    for _ in range(2 * state.POISON_AFTER):
        change = state.bury(job, 3, False, later(40))
        back = change.job
        assert (back.status, back.reclaims, back.attempt, happened(change)) == (Status.QUEUED, 0, 1, "queued")
        assert back.suspicion == Suspicion(BOOT, 3, job.progress, TTL, job.entered_at or later(1))
        assert back.runs[-1].outcome == "lost" and "3 more ran" in (back.runs[-1].why or "")
        job = state.start(back, BOOT, TTL, later(1)).job
        assert job.entered_at is None


def test_a_suspect_is_cleared_by_what_its_last_run_did_not_reach_and_keeps_its_count() -> None:
    job = state.start(state.bury(running(progress=0.4), 0, True, later(40)).job, BOOT, TTL, later(50)).job
    assert state.progress(job, 0.4, None, None, later(51)).job.suspicion is not None
    assert state.progress(job, 0.41, None, None, later(51)).job.suspicion is None
    assert state.progress(job, 0.41, None, None, later(51)).job.reclaims == 1
    done = state.step_done(job, later(51)).job
    assert (done.suspicion, done.reclaims, done.entered_at) == (None, 0, later(51))
    assert state.cleared(job, later(51)).job.suspicion is None


def test_a_suspect_that_is_tried_again_for_another_reason_stays_one() -> None:
    suspect = state.bury(running(), 2, False, later(40)).job
    assert suspect.suspicion is not None
    started = state.start(suspect, BOOT, TTL, later(50)).job
    for outcome in (FLAKY, Released("drain"), Postpone(MINUTE, "quota")):
        assert settle(started, outcome, 60).job.suspicion == suspect.suspicion
    assert settle(started, Completed(1), 60).job.suspicion is None


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


def test_an_operator_takes_a_job_away_under_a_new_epoch() -> None:
    before = running(attempt=2, progress=0.5)
    change = state.recover(before, later(40))
    job = change.job
    assert (job.status, job.attempt, job.reclaims, job.interruptions) == (Status.QUEUED, 2, 0, 1)
    assert job.epoch > before.epoch
    assert happened(change) == "queued"
    assert state.recover(replace(before, cancel_requested=True), NOW).job.status is Status.CANCELLED


def test_a_waiting_job_is_cancelled_at_once() -> None:
    change = state.cancel(queued(run_at=later(99)), later(2))
    job = change.job
    assert (job.status, job.error, job.run_at, job.finished_at) == (Status.CANCELLED, CANCELLED, None, later(2))
    assert (happened(change), job.runs) == ("cancelled", ())
    assert change.notice is not None


def test_a_running_job_is_asked_to_stop() -> None:
    change = state.cancel(running(), later(2))
    assert (change.job.status, change.job.cancel_requested) == (Status.RUNNING, True)
    assert (change.event, change.notice) == (None, None)
    assert state.cancel(change.job, later(3)).job.cancel_requested


@pytest.mark.parametrize("status", [status for status in Status if status.ended])
def test_an_ended_job_cannot_be_cancelled(status: Status) -> None:
    with pytest.raises(NotAllowed, match=status.value):
        state.cancel(ended(status), NOW)


@pytest.mark.parametrize("job", [queued(), running()])
def test_a_shared_job_cannot_be_cancelled(job: Job) -> None:
    shared = state.share(job, later(1)).job
    assert shared.sharers == 2
    with pytest.raises(NotAllowed, match="2 callers"):
        state.cancel(shared, NOW)


@pytest.mark.parametrize("status", [status for status in Status if status.ended])
def test_an_ended_job_is_retried_with_all_its_attempts(status: Status) -> None:
    worn = replace(ended(status), attempt=4, reclaims=2, cancel_requested=True, progress=1.0, sharers=3, result=1)
    change = state.retry(worn, later(50))
    job = change.job
    assert (job.status, job.attempt, job.reclaims, job.cancel_requested) == (Status.QUEUED, 1, 0, False)
    assert (job.progress, job.result, job.missing, job.error, job.sharers) == (0.0, None, None, None, 1)
    assert (job.started_at, job.finished_at, job.run_at, job.message) == (None, None, None, None)
    assert (job.epoch, job.runs, job.seq) == (worn.epoch, worn.runs, worn.seq)
    assert (happened(change), change.notice) == ("queued", None)


@pytest.mark.parametrize("job", [queued(), running()])
def test_a_live_job_is_not_retried(job: Job) -> None:
    with pytest.raises(NotAllowed):
        state.retry(job, NOW)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
@pytest.mark.parametrize("target", [None, CALLBACK])
def test_an_end_and_only_an_end_has_a_notice(outcome: Outcome, target: Any) -> None:
    change = settle(running(target=target), outcome)
    assert (change.notice is not None) == (change.job.status.ended and target is not None)


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
