"""Jobs that failed as poison are remembered for a while."""

from secondunit.daemon.monitoring.poison import PoisonedJobs
from secondunit.queue import value
from secondunit.queue.instrumentation import JobsMoved, PhaseEnded
from secondunit.queue.model import Event, Status
from secondunit.queue.outcome import JobError
from secondunit.testing.clock import ManualClock


async def test_a_poisoned_job_is_remembered_for_an_hour() -> None:
    clock = ManualClock()
    poisoned = PoisonedJobs(clock)
    end = Event("job_a", "hls", "failed", clock.now(), Status.FAILED, error=JobError("deterministic", "poison", "x"))
    other = value.replace(end, job_id="job_b", error=JobError("deterministic", "bad_payload", "x"))
    poisoned(JobsMoved([end, other]))
    poisoned(PhaseEnded("hls", "encode", 1.0))
    assert poisoned.recent() == ["job_a"]
    await clock.advance(3599)
    assert poisoned.recent() == ["job_a"]
    await clock.advance(1)
    assert poisoned.recent() == []
