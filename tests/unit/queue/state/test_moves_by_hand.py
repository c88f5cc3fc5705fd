"""What people do to a job: taken away, cancelled, retried, and when that is refused."""

from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import NotAllowed
from secondunit.queue.model import Job, Status
from secondunit.queue.outcome import Outcome
from secondunit.queue.value import replace
from secondunit.testing.jobs import CALLBACK, NOW, later
from tests.unit.queue.state.scene import CANCELLED, OUTCOMES, ended, happened, queued, running, settle


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
