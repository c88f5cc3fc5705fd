"""The torture's checker: sound evidence passes, and each planted violation is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.torture import scene
from tests.torture.checker import violations
from tests.torture.evidence import Ack, Arrival, Evidence, Reading, Row, Span

Doctor = Callable[[Evidence], Evidence]
KILLED = Span("kill", 10.0, 11.0)


def job(job_id: str, status: str = "completed", **fields: Any) -> Row:
    """A job that ran once."""
    row: dict[str, Any] = {
        "id": job_id, "type": "steps", "status": status, "epoch": 1, "attempt": 1, "max_retries": 1, "reclaims": 0,
        "idempotency_key": f"key-{job_id}", "target_address": "http://127.0.0.1/done", "error": None, "payload": {},
        "result": {"ask": f"answer-{job_id}"}, "runs": [run(1, status)],
    }  # fmt: skip
    return row | fields


def run(epoch: int, outcome: str, begin: float = 1.0, end: float = 2.0) -> Row:
    return {"attempt": 1, "epoch": epoch, "started_at": begin, "finished_at": end, "outcome": outcome}


def line(job_id: str, what: str, epoch: int = 1, at: float = 1.0, **more: Any) -> Row:
    return {"job": job_id, "what": what, "epoch": epoch, "at": at, **more}


def delivery(job_id: str, status: str, epoch: int, id: str = "") -> Row:
    notice = {"status": status, "epoch": epoch}
    return {"id": id or f"dlv-{job_id}", "job_id": job_id, "notice": notice, "state": "delivered"}


def arrival(job_id: str, status: str, epoch: int, answered: int = 204, id: str = "") -> Arrival:
    return Arrival(id or f"dlv-{job_id}", epoch, {"jobId": job_id, "status": status}, answered)


def diary(job_id: str, epoch: int) -> list[Row]:
    """One run with one step."""
    answer = f"answer-{job_id}"
    return [
        line(job_id, "run", epoch),
        line(job_id, "begin", epoch, step="ask"),
        line(job_id, "done", epoch, step="ask", answer=answer),
        line(job_id, "stored", epoch, step="ask", answer=answer),
    ]


def sound() -> Evidence:
    """A job that went well, one that was lost once, one that failed and was retried and cancelled, and a file."""
    names = [
        *[("a", name) for name in ("queued", "started", "completed")],
        *[("b", name) for name in ("queued", "started", "queued", "started", "completed")],
        *[("c", name) for name in ("queued", "started", "retrying", "started", "failed", "queued", "cancelled")],
        *[("f", name) for name in ("queued", "started", "completed")],
    ]
    lost = [run(1, "lost", 9.0, 11.0), run(2, "completed", 11.0, 12.0)]
    failed = [run(1, "failed"), run(2, "failed")]
    file: dict[str, Any] = {
        "type": "file",
        "target_address": None,
        "payload": {"output": "f.bin"},
        "result": {"sha256": "right"},
    }
    return Evidence(
        acks=[Ack(name, f"key-{name}", "steps", callback=True) for name in "abcf"],
        unanswered=frozenset({"key-x"}),
        jobs=[
            job("a"),
            job("b", epoch=2, runs=lost, reclaims=0),
            job("c", "cancelled", epoch=2, runs=failed, result=None, type="flaky"),
            job("f", **file),
        ],
        events=[{"seq": n, "job_id": job_id, "name": name} for n, (job_id, name) in enumerate(names, 1)],
        steps=[
            {"job_id": name, "name": "ask", "done": 1, "result": f"answer-{name}", "at": 2.0} for name in ("a", "b")
        ],
        deliveries=[
            delivery("a", "completed", 1), delivery("b", "completed", 2),
            delivery("c", "failed", 2), delivery("c", "cancelled", 2, "dlv-c2"),
        ],
        diary=[*diary("a", 1), line("b", "run"), line("b", "begin", step="ask"), *diary("b", 2), line("c", "run"),
               line("c", "run", 2), line("f", "run")],
        arrivals=[
            arrival("a", "completed", 1, 500), arrival("a", "completed", 1), arrival("b", "completed", 2),
            arrival("c", "failed", 2), arrival("c", "cancelled", 2, id="dlv-c2"),
        ],
        readings=[Reading("all", None, 2, tuple(range(3, len(names) + 1)), 0)],
        spans=[KILLED],
        retried={"c": 1},
        maybe_retried={"c": 1},
        cancelled=["c"],
        outputs={"f.bin": "right"},
        parents={"b": ["a"]},
    )  # fmt: skip


def without(field: str, index: int) -> Doctor:
    """One item of a list gone."""

    def doctor(e: Evidence) -> Evidence:
        items = list(getattr(e, field))
        del items[index]
        return _with(e, field, items)

    return doctor


def more(field: str, *items: Any) -> Doctor:
    """Items added at the end of a list."""
    return lambda e: _with(e, field, [*getattr(e, field), *items])


def other(field: str, index: int, **changes: Any) -> Doctor:
    """One row changed."""

    def doctor(e: Evidence) -> Evidence:
        items = list(getattr(e, field))
        items[index] = items[index] | changes
        return _with(e, field, items)

    return doctor


def event(seq: int, job_id: str, name: str) -> Doctor:
    """An event more, which the reader got as well."""

    def doctor(e: Evidence) -> Evidence:
        e = more("events", {"seq": seq, "job_id": job_id, "name": name})(e)
        return replace(e, readings=[Reading("all", None, 2, (*e.readings[0].seqs, seq), 0)])

    return doctor


def reading(*seqs: int, resets: int = 0) -> Doctor:
    return lambda e: replace(e, readings=[Reading("all", None, 2, seqs, resets)])


def _with(e: Evidence, field: str, items: list[Any]) -> Evidence:
    changed: dict[str, Any] = {field: items}
    return replace(e, **changed)


LAST = 18
CRASHED = other("jobs", 1, runs=[run(1, "crashed", 9.0, 11.0), run(2, "completed", 11.0, 12.0)])
PLANTED: dict[str, tuple[str, Doctor]] = {
    "an acknowledged job is gone": ("I1", more("acks", Ack("z", "key-z", "steps", callback=False))),
    "one key was answered with two jobs": ("I1", more("acks", Ack("a", "key-b", "steps", callback=False))),
    "a job stands under a key nobody sent": ("I1", other("jobs", 0, idempotency_key="key-?")),
    "one key made two jobs": ("I1", more("jobs", job("a2", idempotency_key="key-a"))),
    "a job never ended": ("I1", other("jobs", 0, status="running")),
    "two runs at once": ("I2", other("events", 5, name="started")),
    "an epoch was used again": ("I2", other("jobs", 1, epoch=1)),
    "a child did not wait for its parent": ("I2", lambda e: replace(e, parents={"a": ["f"]})),
    "a child ran though its parent never ended": ("I2", lambda e: replace(e, parents={"b": ["nowhere"]})),
    "a job that waits for nobody was queued twice": ("I6", other("events", 16, name="queued")),
    "two terminal events for one ending": ("I4", event(LAST + 1, "a", "completed")),
    "the last event is not the status": ("I4", other("events", 2, name="failed")),
    "an ended status changed": ("I6", event(LAST + 1, "a", "queued")),
    "an answered retry did nothing": ("I6", lambda e: replace(e, retried={"a": 1, "c": 1}, maybe_retried=e.retried)),
    "an answered cancellation did nothing": ("I6", more("cancelled", "a")),
    "an ending without its delivery": ("I4", without("deliveries", 0)),
    "an ending with two deliveries": ("I4", more("deliveries", delivery("a", "completed", 1, "dlv-a2"))),
    "a delivery nobody asked for": ("I4", other("jobs", 0, target_address=None)),
    "deliveries with falling epochs": ("I3", other("deliveries", 3, notice={"status": "cancelled", "epoch": 1})),
    "more failures than retries": ("I5", other("jobs", 2, max_retries=0)),
    "an interruption counted as an attempt": ("I5", other("jobs", 1, attempt=2)),
    "a run is missing from the history": ("I5", other("jobs", 1, runs=[run(2, "completed")])),
    "a poison job was not ended": ("I5", other("jobs", 1, reclaims=3)),
    "a run was lost without a kill": ("I5", lambda e: replace(e, spans=[])),
    "a pause is charged to the job that ran": (
        "I5",
        lambda e: replace(CRASHED(e), spans=[replace(KILLED, kind="stop")]),
    ),
    "a neighbour's crash is charged to the job that ran": (
        "I5",
        lambda e: replace(CRASHED(e), spans=[replace(KILLED, kind="crash")]),
    ),
    "a drain is no kill": ("I5", lambda e: replace(e, spans=[replace(KILLED, kind="term")])),
    "a finished step began again": ("I7", more("diary", line("a", "begin", step="ask"))),
    "a stored step began again, though its run never got it": (
        "I7",
        lambda e: replace(e, diary=[line("a", "begin", step="ask"), line("a", "begin", at=3.0, step="ask")]),
    ),
    "a step's answer changed": ("I7", more("diary", line("a", "stored", step="ask", answer="another"))),
    "a result is not what the steps answered": ("I7", other("jobs", 0, result={"ask": "another"})),
    "a step was given back and not stored": ("I7", without("steps", 0)),
    "a paid step was sent three times": (
        "I7",
        lambda e: replace(e, diary=[*[line("b", "begin", step="ask")] * 2, *e.diary]),
    ),
    "an old run wrote after a new one had begun": ("I3", more("diary", line("b", "done", 1, step="ask", answer="x"))),
    "one epoch ran twice": ("I2", more("diary", line("a", "run"))),
    "a callback was never taken": ("I4", without("arrivals", 1)),
    "a delivery is still pending": ("I4", other("deliveries", 0, state="pending")),
    "a callback of no delivery": ("I4", more("arrivals", arrival("a", "completed", 1, id="dlv-?"))),
    "a callback changed between tries": ("I4", more("arrivals", arrival("a", "failed", 1))),
    "an older epoch arrived later": (
        "I3",
        lambda e: replace(e, arrivals=[replace(e.arrivals[4], epoch=9), *e.arrivals[:4]]),
    ),
    "a reader missed an event": ("I8", reading(3, *range(5, LAST + 1))),
    "a reader got an event twice": ("I8", reading(3, 3, *range(4, LAST + 1))),
    "a reader got events out of order": ("I8", reading(4, 3, *range(5, LAST + 1))),
    "a reader got an event that is not stored": ("I8", reading(*range(3, LAST + 2))),
    "a reader was reset": ("I8", reading(*range(3, LAST + 1), resets=1)),
    "a process outlived its daemon": ("I9", more("alive", "sleep 600 (kill)")),
    "a staged file was left": ("I10", more("stray", ".secondunit/a-1/1/out")),
    "half a file was seen": ("I10", more("torn", "f.bin")),
    "a completed job's file is another": ("I10", lambda e: replace(e, outputs={"f.bin": "wrong"})),
    "a completed job's file is gone": ("I10", lambda e: replace(e, outputs={})),
    "the database is damaged": ("integrity", more("integrity", "row 3 missing from index")),
    "a drain ended with an error": ("exit", more("exits", ("term", 70))),
    "a kind never came": ("torture", more("undone", "torture: stop never came in 40 cycles")),
}


def test_sound_evidence_is_passed() -> None:
    assert violations(sound()) == []


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_violation_is_named(name: str) -> None:
    invariant, doctor = PLANTED[name]
    found = violations(doctor(sound()))
    assert any(sentence.startswith(f"{invariant}:") for sentence in found), found


def test_what_a_job_waits_for_is_known_though_the_answer_was_lost() -> None:
    none = {"id": "top", "bonds": '[[],"run","top"]'}
    rows = [
        {"id": "alone", "bonds": None},
        scene.read(none),
        scene.read({"id": "left", "bonds": '[["top"],"run","left"]'}),
    ]
    assert scene.parents(rows) == {"left": ["top"]}
