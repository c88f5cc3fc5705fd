"""What doctor says of boxes that share a queue and of types that nobody is there for, in both languages."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.dashboard.texts import Texts, read_catalogue
from secondunit.daemon.diagnosis.boxes import boxes_checks, clock_check, remote_type_check
from secondunit.daemon.diagnosis.checks import CheckResult
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.remote.workers import SeenWorker
from secondunit.queue.sight.boxes import SeenBox
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, TTL, later

CHINESE = Texts("zh-Hant", read_catalogue()["zh-Hant"])
ROW = BoxRow("a", "a/1", "http://127.0.0.1:8000", "1.0.0", {"hls": 1}, 5, TTL, NOW)

RULES = {"RETENTION_HOURS": "1", "CALLBACK_SECRET": "1"}
OTHERS = {"RETENTION_HOURS": "2", "NEW": "1"}


def box(name: str, state: Any = "up", running: Mapping[str, int] | None = None, **fields: Any) -> SeenBox:
    row = replace(ROW, name=name, boot=f"{name}/1", **fields)
    return SeenBox(row, state, row.limits, running or {})


def worker(seconds_ago: float, *, waiting: bool = False) -> SeenWorker:
    return SeenWorker(RemoteHolder("k", "w"), frozenset({"ocr"}), later(-seconds_ago), waiting)


def told(checks: Sequence[CheckResult]) -> Sequence[tuple[str, str]]:
    for check in checks:
        for words in filter(None, (check.found, check.remedy)):
            assert CHINESE.knows(words), words
    return [(check.state, check.found) for check in checks]


def test_boxes_that_agree_are_well() -> None:
    found = told(boxes_checks([box("a"), box("b", "draining")], {"hls": 4}, NOW))
    assert found == [("ok", "2 share the queue, of one version")]


@pytest.mark.parametrize(
    ("boxes", "waiting", "found"),
    [
        (
            [box("a"), box("b", version="2.0.0"), box("c", "gone", version="0.9")],
            {},
            "they are of several versions (1.0.0: a; 2.0.0: b)",
        ),
        (
            [box("a"), box("b", lease=timedelta(seconds=60))],
            {},
            "their leases last differently (30 s: a; 60 s: b)",
        ),
        (
            [box("a", rules=RULES), box("b", rules=RULES), box("c", rules=OTHERS), box("d")],
            {},
            "RETENTION_HOURS differs: a, b | c",
        ),
        (
            [box("a"), box("b", "gone", {"hls": 2, "webp": 1}, seen_at=later(-90))],
            {},
            "b was not seen for 90 s, and 3 jobs run under its leases",
        ),
        (
            [box("a"), box("b", "gone", limits={"gpu": 1})],
            {"gpu": 7, "hls": 1},
            "7 gpu jobs wait, and no box that is there runs them",
        ),
        ([box("a")], {"gone": 1}, "1 gone jobs wait, and no box that is there runs them"),
    ],
)  # fmt: skip
def test_what_boxes_do_not_agree_on_is_told(boxes: Sequence[SeenBox], waiting: Mapping[str, int], found: str) -> None:
    assert told(boxes_checks(boxes, waiting, NOW)) == [("warn", found)]


def test_a_type_that_workers_lease_is_served() -> None:
    assert told(boxes_checks([box("a", remote={"ocr": "1"})], {"ocr": 9}, NOW))[0][0] == "ok"


@pytest.mark.parametrize(
    ("seconds", "state", "found"),
    [
        (0.5, "ok", "it agrees with the database's"),
        (3600, "warn", "it is 3600 s ahead of the database's"),
        (-3600, "warn", "it is 3600 s behind the database's"),
    ],
)
def test_a_clock_is_held_to_the_database_s(seconds: float, state: str, found: str) -> None:
    assert told([clock_check(timedelta(seconds=seconds))]) == [(state, found)]


@pytest.mark.parametrize(
    ("workers", "apart", "state", "found"),
    [
        ([], (), "warn", "no worker has asked for ocr jobs in the last day; 3 wait"),
        ([worker(3601)], (), "warn", f"no worker has asked for ocr jobs since {later(-3601):%Y-%m-%dT%H:%M:%S}"),
        ([worker(3601, waiting=True), worker(4000)], (), "ok", "2 workers take ocr jobs"),
        ([worker(60)], (), "ok", "1 workers take ocr jobs"),
        ([worker(60)], (["a"], ["b", "c"]), "warn", "boxes declare ocr differently: a | b, c"),
    ],
)
def test_a_remote_type_that_nobody_asks_for_is_told(workers: Any, apart: Any, state: str, found: str) -> None:
    [(how, what)] = told([remote_type_check("ocr", workers, 3, apart, NOW)])
    assert how == state and what.startswith(found), what
