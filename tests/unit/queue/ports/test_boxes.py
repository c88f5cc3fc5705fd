"""How a box is: gone when it is not seen for a lease or has ended, draining while it stops or is wanted to."""

from datetime import timedelta

import pytest

from secondunit.queue.ports.boxes import LONGEST_SILENCE, BoxRow, State
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, TTL, later

BOX = BoxRow("a", "a/1", "http://127.0.0.1:8000", "1.0.0", {"hls": 1}, 5, TTL, NOW)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("box", "seconds", "state"),
    [
        (BOX, 0, "up"),
        (BOX, 30, "up"),
        (BOX, 30.1, "gone"),
        (BOX, -5, "up"),
        (replace(BOX, lease=SECOND), 1.1, "gone"),
        (replace(BOX, lease=timedelta(hours=1)), 60, "up"),
        (replace(BOX, lease=timedelta(hours=1)), 60.1, "gone"),
        (replace(BOX, drained=True), 30, "draining"),
        (replace(BOX, phase="stopping"), 30, "draining"),
        (replace(BOX, phase="stopping"), 30.1, "gone"),
        (replace(BOX, drained=True), 30.1, "gone"),
        (replace(BOX, phase="ended"), 0, "gone"),
    ],
)
def test_a_box_is_judged_by_what_it_said_and_when_it_was_last_seen(box: BoxRow, seconds: float, state: State) -> None:
    assert box.state(later(seconds)) == state


def test_a_box_beats_often_enough_for_its_lease_and_no_oftener() -> None:
    assert BOX.beat == timedelta(seconds=2)
    assert replace(BOX, lease=SECOND).beat == SECOND / 3
    assert 10 * BOX.beat < min(BOX.lease, LONGEST_SILENCE)


def test_a_lease_belongs_to_the_box_that_its_boot_names() -> None:
    assert BOX.has("a/1") and BOX.has("a/0")
    assert not BOX.has("ab/1") and not BOX.has("b/a/1") and not BOX.has("a")
    assert not BOX.has("remote su_key a/1")
    alone = replace(BOX, boot="0123")
    assert alone.has("0123") and not alone.has("4567")
