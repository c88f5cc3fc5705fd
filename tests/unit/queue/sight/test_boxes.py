"""What is told of boxes: whose leases are whose, how much fits, and why a job waits for others than the one asked."""

import re
from typing import Any

import pytest

from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.sight.boxes import SeenBox, declared_apart, elsewhere, seen
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, TTL, later, new

ROW = BoxRow("a", "a/1", "http://127.0.0.1:8000", "1.0.0", {"hls": 1, "webp": 3}, 5, TTL, NOW)
JOB = new("j").job


def box(name: str, state: Any = "up", running: int = 0, **limits: int) -> SeenBox:
    limits = limits or {"hls": 2}
    return SeenBox(replace(ROW, name=name, boot=f"{name}/1"), state, limits, {"hls": running} if running else {})


def test_a_box_has_the_leases_of_all_its_boots_and_no_others() -> None:
    held = {"a/1": {"hls": 1}, "a/0": {"hls": 1, "webp": 2}, "b/1": {"hls": 4}, "remote su_k a/1": {"hls": 8}}
    found = seen(ROW, later(31), held, {"hls": 9, "other": 3})
    assert (dict(found.running), dict(found.limits)) == ({"hls": 2, "webp": 2}, {"hls": 9, "webp": 3})
    assert (found.name, found.state, found.capacity) == ("a", "gone", 5)
    assert seen(ROW, NOW, {}, {}).capacity == 4, "no more than all of its slots"


@pytest.mark.parametrize(
    ("boxes", "reason", "sentence"),
    [
        ([box("a", "draining"), box("b", running=1)], "slot", "b runs hls jobs; 1 of 2 slots there is busy"),
        ([box("a"), box("b", running=2)], "slot", "a, b run hls jobs; 2 of 4 slots there are busy"),
        ([box("a", "draining"), box("b", "gone")], "draining", "every box that runs hls jobs is drained .*: a;"),
        ([box("a", "gone"), box("b", webp=1)], "unknown_type", "every box that runs hls jobs is gone: a;"),
        ([box(name, "gone") for name in "abc"], "unknown_type", "gone: a, b, c;"),
        ([box(name, "gone") for name in "abcde"], "unknown_type", "gone: a, b, c and 2 more;"),
    ],
)
def test_a_job_waits_for_the_boxes_that_serve_its_type(boxes: Any, reason: str, sentence: str) -> None:
    found = elsewhere(JOB, boxes)
    assert found is not None and found.reason == reason
    assert re.search(sentence, found.sentence), found.sentence


def test_of_a_type_that_no_box_serves_nothing_is_said() -> None:
    assert elsewhere(JOB, [box("a", webp=1)]) is None
    assert elsewhere(JOB, []) is None


def declares(name: str, digest: str | None, state: Any = "up") -> SeenBox:
    remote = {"hls": digest} if digest else {}
    return SeenBox(replace(ROW, name=name, boot=f"{name}/1", remote=remote), state, {}, {})


def test_a_job_whose_type_workers_lease_at_another_box_says_where() -> None:
    found = elsewhere(JOB, [declares("a", None), declares("b", "1"), declares("c", "1", "gone")])
    assert found is not None and found.reason == "slot"
    assert found.sentence.startswith("remote workers lease hls jobs at b, not here;")
    assert elsewhere(JOB, [declares("c", "1", "gone")]) is None


def test_boxes_are_told_apart_by_what_they_declare_of_a_remote_type() -> None:
    a, b, c, d = declares("a", "1"), declares("b", "2"), declares("c", "1"), declares("d", None)
    assert declared_apart("hls", [a, b, c, d]) == [["a", "c"], ["b"], ["d"]]
    assert declared_apart("hls", [a, d]) == [["a"], ["d"]]
    for agreed in ([a, c], [d], [], [a, declares("b", "2", "gone")]):
        assert declared_apart("hls", agreed) == ()
