"""Health: what counts as wrong, and what it is called."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.health import LEAST_FREE, Box, passing, standing
from secondunit.daemon.plugins import Broken
from secondunit.handlers.tools.ffmpeg import Media, MediaMissing
from secondunit.queue.model import Counts

FFMPEG = Media("/bin/ffmpeg", "/bin/ffprobe", "9", frozenset(), frozenset(), scale_tonemaps=True)
IDLE = Counts({}, {}, {}, None)


def box(**changed: Any) -> Box:
    usual: dict[str, Any] = {
        "version": "1",
        "boot": "b",
        "name": "box",
        "mode": "passive",
        "data_dir": Path("/data"),
        "media": FFMPEG,
        "broken": (),
        "gemini": True,
        "stall": timedelta(minutes=5),
    }
    return Box(**usual | changed)


def words(reasons: Any) -> list[str]:
    return [reason.word for reason in reasons]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"broken": [Broken("a module", "ImportError: x")]}, "plugin_broken"),
        ({"media": MediaMissing("install it")}, "ffmpeg_missing"),
        ({"gemini": False}, "gemini_key_missing"),
    ],
)
def test_what_is_missing_at_start_is_a_reason(changed: dict[str, Any], word: str) -> None:
    assert words(standing(box(**changed), {"hls": 1, "analyze": 1})) == [word]


def test_a_box_that_has_everything_has_no_reason() -> None:
    assert not standing(box(), {"hls": 1, "analyze": 1})
    assert not passing(IDLE, {}, LEAST_FREE, [])


def test_a_gemini_key_is_missed_only_where_something_needs_it() -> None:
    assert not standing(box(gemini=False), {"hls": 1})


def test_queued_jobs_of_unknown_types_stuck_jobs_and_a_full_disk_are_reasons() -> None:
    counts = Counts({"gone": 2, "hls": 1, "empty": 0}, {}, {}, None)
    reasons = passing(counts, {"hls": 1}, LEAST_FREE - 1, ["job_a"])
    assert words(reasons) == ["unknown_type", "stuck_jobs", "disk_low"]
    assert "gone" in reasons[0].text and "empty" not in reasons[0].text and "job_a" in reasons[1].text
