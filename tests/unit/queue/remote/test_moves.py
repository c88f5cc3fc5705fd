"""What happens to jobs that remote workers run."""

from datetime import datetime

import pytest

from secondunit.queue import state
from secondunit.queue.errors import LeaseLost
from secondunit.queue.model import Job, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.holders import RemoteHolder, heard_by, holder_of
from secondunit.queue.remote import moves
from secondunit.queue.remote.moves import News
from secondunit.queue.value import replace
from secondunit.testing.jobs import BOOT, NOW, TTL, NoJitter, later, new

WORKER = RemoteHolder("abcd2345", "gpu 7")


def running(boot: str = WORKER.heard(BOOT), at: datetime = NOW) -> Job:
    return state.start(new("job_1", type="ocr").job, boot, TTL, at).job


def test_a_lease_names_its_key_and_its_worker() -> None:
    assert holder_of(WORKER.heard(BOOT)) == WORKER
    for boot in (BOOT, "a/0123", "an odd @ box/0123", "日本/0123", ""):
        assert (holder_of(WORKER.heard(boot)), heard_by(WORKER.heard(boot))) == (WORKER, boot)
    assert holder_of("remote abcd2345 gpu 7") == WORKER, "as it was written before it told of the daemon"
    assert holder_of(RemoteHolder("", "w").heard(BOOT)) == RemoteHolder("", "w")
    assert holder_of(BOOT) is None
    assert holder_of("remote ") is None


@pytest.mark.parametrize("epoch", [0, 2])
def test_another_epoch_holds_nothing(epoch: int) -> None:
    with pytest.raises(LeaseLost):
        moves.held(running(), epoch, NOW)


def test_a_lease_holds_until_it_has_run_out_and_no_longer() -> None:
    assert moves.held(running(), 1, later(29.9)).epoch == 1
    with pytest.raises(LeaseLost):
        moves.held(running(), 1, later(30))


def test_a_run_of_the_daemon_itself_is_no_remote_lease() -> None:
    with pytest.raises(LeaseLost):
        moves.held(running(BOOT), 1, NOW)


def test_progress_never_falls_and_what_is_not_told_stays() -> None:
    job = moves.renewed(running(), 1, News(0.5, "reading", "page 1", {"pages": 1}), later(40), later(5), BOOT).job
    job = moves.renewed(job, 1, News(0.2), later(50), later(15), "a/2").job
    assert job.lease is not None
    assert (holder_of(job.lease.boot), heard_by(job.lease.boot)) == (WORKER, "a/2")
    assert (job.progress, job.phase, job.message, job.stats) == (0.5, "reading", "page 1", {"pages": 1})
    assert job.lease.until == later(50)


def test_the_receipt_of_an_end_outlives_later_runs() -> None:
    job = moves.settled(running(), Completed(7), "call", NoJitter(), later(1)).job
    again = state.start(state.retry(job, later(2)).job, WORKER.heard(BOOT), TTL, later(3)).job
    assert moves.receipt(again, 1) == moves.Receipt("call", Status.COMPLETED)
    assert moves.receipt(again, 2) is None


def test_a_silent_worker_is_charged_to_a_job_that_was_lost_alone() -> None:
    alone, together = moves.silent(running(), True, later(30)).job, moves.silent(running(), False, later(30)).job
    assert (alone.status, alone.reclaims, alone.attempt, alone.runs[-1].outcome) == (Status.QUEUED, 1, 1, "crashed")
    assert (together.status, together.reclaims, together.attempt) == (Status.QUEUED, 0, 1)
    assert "gpu 7" in (alone.runs[-1].why or "")


def test_the_third_charge_is_poison_and_the_tenth_loss_in_a_row_too() -> None:
    poison = moves.silent(replace(running(), reclaims=2), True, later(30)).job
    assert (poison.status, poison.error and poison.error.type) == (Status.FAILED, "poison")
    job = running()
    for n in range(9):
        job = moves.silent(job, False, later(30)).job
        assert job.status is Status.QUEUED, n
        job = state.start(job, WORKER.heard(BOOT), TTL, NOW).job
    assert moves.silent(job, False, later(30)).job.status is Status.FAILED


def test_a_job_that_was_to_be_cancelled_is_when_its_worker_falls_silent() -> None:
    job = state.cancel(running(), NOW).job
    assert moves.silent(job, True, later(30)).job.status is Status.CANCELLED
