"""From new to ended: what a job starts with, and what each outcome of a run makes of it."""

from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.errors import NotAllowed
from secondunit.queue.model import Bonds, Job, Lease, Status, Submission
from secondunit.queue.outcome import Completed, Failed, Outcome, Partial, Postpone, Released, Stopped
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.value import replace
from secondunit.testing.full_values import full
from secondunit.testing.jobs import BOOT, BROKEN, FLAKY, NOW, TTL, later, new
from tests.unit.queue.state.scene import CANCELLED, MINUTE, TIMED_OUT, ended, happened, queued, running, settle


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
