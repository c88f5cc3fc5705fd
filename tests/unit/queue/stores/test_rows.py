"""A value that becomes a row and comes back is the value that it was, to the last field and microsecond."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.model import Bonds, Event, Idempotency, Job, Lease, Notice, Run, Status, Suspicion, Target
from secondunit.queue.outcome import JobError
from secondunit.queue.phases import Phase
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.stores.rows import (
    dump_notice,
    event_from,
    event_values,
    fixed_values,
    job_from,
    load_notice,
    micros,
    moment,
    moving_values,
)
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, later

ERROR = JobError("transient", "flaky", "ünïcödé \U0001f3ac")
MICROS = timedelta(microseconds=1)
PLAIN = Job(
    id="job_a",
    type="hls",
    payload={"n": 1},
    priority=2,
    status=Status.QUEUED,
    created_at=NOW,
    updated_at=NOW,
    retry=RetryPolicy(3),
    seq=7,
)
FULL = Job(
    id="job_a",
    type="hls",
    payload={"deep": [{"a": None}, "ü", 1.5, True]},
    priority=0,
    status=Status.RUNNING,
    created_at=NOW + MICROS,
    updated_at=later(1) + 2 * MICROS,
    retry=RetryPolicy(9, "fixed", timedelta(milliseconds=1, microseconds=500)),
    seq=7,
    timeout=timedelta(seconds=0.25),
    run_at=later(2) + 3 * MICROS,
    started_at=later(3) + 4 * MICROS,
    finished_at=later(4) + 5 * MICROS,
    first_started_at=later(-9) + 7 * MICROS,
    worked=timedelta(seconds=3) + 8 * MICROS,
    attempt=3,
    reclaims=1,
    interruptions=2,
    epoch=2**33 + 5,
    lease=Lease("job_a", 2**33 + 5, "boot", later(5) + 6 * MICROS),
    cancel_requested=True,
    progress=0.125,
    phase="encode",
    message="half",
    result={"falsy": [0, "", None, False]},
    missing=["b"],
    error=ERROR,
    stats={"tokens": 5},
    target=Target("callback", "http://x/"),
    idempotency=Idempotency("key", b"\x00\xff"),
    dedupe_key="same",
    sharers=2,
    source="videos",
    labels={"video_id": "x"},
    runs=(
        Run(1, 4, NOW, later(1), "failed", ERROR, 9 * MICROS),
        Run(2, 5, NOW, later(2), "lost", why="it died", phases=(Phase("probe", NOW, MICROS),)),
    ),
    entered_at=later(6) + MICROS,
    phases=(Phase("probe", NOW, 5 * MICROS), Phase("encode", later(6))),
    suspicion=Suspicion("dead", 2, 0.5, 7 * MICROS, later(5) + MICROS),
    submitted_by="the blog",
    owner="abcdefgh",
    bonds=Bonds(["job_b"], "cancel", "first"),
    batch="batch_a",
    waiting_for=3,
    followed=True,
    box="nas",
)


def row_of(job: Job) -> tuple[Any, ...]:
    return (job.seq, *fixed_values(job), *moving_values(job))


def test_every_field_of_a_full_job_differs_from_a_plain_one() -> None:
    """So that none is forgotten by the tests below."""
    same = {name for name in Job.__struct_fields__ if getattr(FULL, name) == getattr(PLAIN, name)}
    assert same == {"id", "type", "seq"}


@pytest.mark.parametrize("job", [PLAIN, FULL], ids=["plain", "full"])
def test_a_job_comes_back_as_it_was(job: Job) -> None:
    assert job_from(row_of(job)) == job


@pytest.mark.parametrize("name", [name for name in Job.__struct_fields__ if name not in ("id", "type", "seq", "epoch")])
def test_each_field_has_a_place_of_its_own(name: str) -> None:
    job = replace(PLAIN, **{name: getattr(FULL, name)})
    if name == "lease":
        job = replace(job, epoch=FULL.epoch)
    if name in ("started_at", "runs"):  # without its first start it is a row of before there was such a column
        job = replace(job, first_started_at=FULL.first_started_at)
    back = job_from(row_of(job))
    assert {field for field in Job.__struct_fields__ if getattr(back, field) != getattr(job, field)} == set()


@pytest.mark.parametrize("empty", [0, "", False, [], {}])
def test_an_empty_result_is_not_none(empty: Any) -> None:
    back = job_from(row_of(replace(PLAIN, result=empty)))
    assert back.result == empty and back.result is not None and type(back.result) is type(empty)


def test_only_a_queued_job_with_a_time_is_delayed_and_it_is_ready_then() -> None:
    assert moving_values(PLAIN)[-2:] == (0, micros(NOW))
    assert moving_values(replace(PLAIN, run_at=later(9)))[-2:] == (1, micros(later(9)))
    assert moving_values(replace(PLAIN, run_at=later(9), status=Status.RUNNING))[-2:] == (0, micros(NOW))


@pytest.mark.parametrize("at", [NOW, NOW + MICROS, NOW.replace(year=9999), NOW.replace(year=1), NOW.replace(year=1969)])
def test_a_time_is_exact_to_the_microsecond(at: Any) -> None:
    assert moment(micros(at)) == at and isinstance(micros(at), int)


def test_an_event_comes_back_as_it_was() -> None:
    plain = Event("job_a", "hls", "queued", NOW, Status.QUEUED, seq=3)
    full = replace(
        plain, progress=0.5, phase="p", message="m", attempt=2, error=ERROR, run_at=later(1) + MICROS, name="retrying"
    )
    full = replace(full, duration=3 * MICROS, owner="abcdefgh")
    for event in (plain, full):
        assert event_from((*event_values(event), event.job_id, event.job_type, event.owner)) == event


def test_a_notice_comes_back_as_it_was() -> None:
    at = later(1) + MICROS
    full = Notice(
        Target("callback", "http://x/"),
        "job_a",
        "hls",
        Status.FAILED,
        2**33,
        at,
        {"n": [1]},
        ERROR,
        3 * MICROS,
        "api",
        {"a": "b"},
    )
    for notice in (full, replace(full, result=None, error=None, duration=None, labels={})):
        assert load_notice(dump_notice(notice)) == notice
