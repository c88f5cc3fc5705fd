"""Who is charged with a daemon's death, and in what order suspects are tried."""

from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.model import Job, Suspicion
from secondunit.queue.suspicion import charged, in_turn, known_good, suspected
from secondunit.queue.value import replace
from secondunit.testing.jobs import BOOT, NOW, TTL, held, later, new


def suspicion(beside: int = 2, entered: float = 0) -> Suspicion:
    return Suspicion("dead", beside, 0.5, TTL, later(entered))


def ran(job_id: str, type: str = "hls", **fields: Any) -> Job:
    return replace(state.start(new(job_id, type=type).job, BOOT, TTL, NOW).job, **fields)


@pytest.mark.parametrize(
    ("running", "proven", "guilty"),
    [
        ([ran("a")], [], "a"),
        ([ran("a")], ["hls"], "a"),
        ([ran("a"), ran("b")], [], None),
        ([ran("a"), ran("b")], ["hls"], None),
        ([ran("a"), ran("b", "evil")], ["hls"], "b"),
        ([ran("a"), ran("b", "evil"), ran("c", "evil")], ["hls"], None),
        ([ran("a"), ran("b", suspicion=suspicion())], [], "b"),
        ([ran("a", "new"), ran("b", suspicion=suspicion())], ["hls"], "b"),
        ([ran("a", suspicion=suspicion()), ran("b", suspicion=suspicion())], ["hls"], None),
        ([], [], None),
    ],
)
def test_only_one_who_can_not_be_mistaken_is_charged(running: list[Job], proven: list[str], guilty: str | None) -> None:
    assert charged(running, proven) == guilty


def test_suspects_are_tried_in_the_order_of_their_likelihood() -> None:
    def waits(job_id: str, **fields: Any) -> Job:
        return replace(new(job_id).job, **({"suspicion": suspicion()} | fields))

    jobs = [
        waits("steady", suspicion=suspicion(entered=-60)),
        waits("entered", suspicion=suspicion(entered=9)),
        waits("alone", suspicion=suspicion(beside=0, entered=-60)),
        waits("charged", reclaims=1, suspicion=suspicion(entered=-90)),
        waits("charged twice", reclaims=2, suspicion=suspicion(entered=-90)),
        waits("later", run_at=later(60)),
        ran("runs", suspicion=suspicion()),
        new("nobody").job,
    ]
    assert [job.id for job in in_turn(jobs, NOW)] == ["charged twice", "charged", "alone", "entered", "steady"]
    assert "later" in [job.id for job in in_turn(jobs, later(60))]


def test_a_type_with_a_suspect_is_not_known_to_be_good() -> None:
    assert known_good(["hls", "webp"], [ran("a", suspicion=suspicion())]) == {"webp"}


def test_a_run_lived_until_its_lease_at_most_and_never_less_than_nothing() -> None:
    job = ran("a", started_at=later(-5), progress=0.3)
    assert suspected(job, held(job), 2) == Suspicion(BOOT, 2, 0.3, later(35) - NOW, later(-5))
    after_a_step_of_the_clock = ran("a", started_at=later(3600))
    assert suspected(after_a_step_of_the_clock, held(after_a_step_of_the_clock), 0).lived.total_seconds() == 0
