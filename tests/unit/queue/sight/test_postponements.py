"""What a run was put back for, by its reason."""

import pytest

from secondunit.queue.model import Run
from secondunit.queue.sight.postponements import cause, still, woken
from secondunit.testing.jobs import NOW


@pytest.mark.parametrize(
    ("why", "meant"),
    [
        ("budget_used_up: ...", "budget"),
        ("no_room: ...", "disk"),
        ("gemini_down: ...", "provider"),
        ("own reasons", "backoff"),
        (None, "backoff"),
    ],
)
def test_the_word_before_the_colon_says_it(why: str | None, meant: str) -> None:
    assert cause(Run(1, 1, NOW, NOW, "postponed", why=why)) == meant


def test_what_waits_for_room_is_woken() -> None:
    assert woken(Run(1, 1, NOW, NOW, "postponed", why="no_room: ..."))
    assert not any(
        woken(Run(1, 1, NOW, NOW, "postponed", why=why)) for why in ("disk_full: ...", "gemini_down: ...", None)
    )


def test_what_is_over_is_told_as_over() -> None:
    assert "the way is free again" in still("provider", None, None)
    assert still("provider", "it is down", None) == still("disk", None, None) == "{why}; {when}"
    assert "has room again" in still("budget", None, None) and still("budget", None, "used up") == "{why}; {when}"
