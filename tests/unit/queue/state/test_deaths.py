"""Runs that the daemon did not survive: lost, suspect, cleared, poison."""

from secondunit.queue import state
from secondunit.queue.model import Status, Suspicion
from secondunit.queue.outcome import Completed, Postpone, Released
from secondunit.testing.jobs import BOOT, FLAKY, NOW, TTL, later
from tests.unit.queue.state.scene import MINUTE, happened, queued, running, settle


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
