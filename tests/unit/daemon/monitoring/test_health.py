"""Health: what counts as wrong, and what it is called."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.automation.poller import Polling
from secondunit.daemon.config.job_types import BrokenJobType
from secondunit.daemon.monitoring.health import LEAST_FREE, Box, QueueInspection, facing, passing, standing
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Counts
from secondunit.testing.clock import START
from secondunit.testing.rig import spec

FFMPEG = Media("/bin/ffmpeg", "/bin/ffprobe", "9", frozenset(), frozenset(), scale_tonemaps=True)
IDLE = Counts({}, {}, {}, None)


def box(**changed: Any) -> Box:
    usual: dict[str, Any] = {
        "version": "1",
        "engine": {"sqlite": "3"},
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


async def never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("nothing runs here")


FREE = spec("hls", never)
PAID = spec("asks", never, paid=True)


def words(reasons: Any) -> list[str]:
    return [reason.word for reason in reasons]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"broken": [BrokenJobType("a module", "ImportError: x")]}, "plugin_broken"),
        ({"media": MediaMissing("install it")}, "ffmpeg_missing"),
        ({"gemini": False}, "gemini_key_missing"),
    ],
)
def test_what_is_missing_at_start_is_a_reason(changed: dict[str, Any], word: str) -> None:
    assert words(standing(box(**changed), {"hls": FREE, "asks": PAID})) == [word]


def test_a_box_that_has_everything_has_no_reason() -> None:
    assert not standing(box(), {"hls": FREE, "asks": PAID})
    assert not passing(QueueInspection(IDLE, [], {}, LEAST_FREE), {}, disk_full=False)
    assert not facing(None) and not facing(Polling())


def test_what_gemini_does_not_take_is_a_reason() -> None:
    assert words(facing(None, "the key is not valid")) == ["gemini_trouble"]


def test_a_geocoder_that_does_not_answer_is_a_reason() -> None:
    [reason] = facing(None, None, "geocoder_down: it failed (502)")
    assert reason.word == "geocoder_trouble" and "502" in reason.text


def test_a_gemini_key_is_missed_only_where_something_needs_it() -> None:
    assert not standing(box(gemini=False), {"hls": FREE})
    [reason] = standing(box(gemini=False), {"hls": FREE, "asks": PAID})
    assert reason.text == "set GEMINI_API_KEY; without it asks is refused"
    [reason] = standing(box(gemini=False), {"asks": PAID, "begs": PAID})
    assert reason.text == "set GEMINI_API_KEY; without it asks and begs are refused"


def test_active_mode_without_a_gemini_key_says_that_nothing_is_polled() -> None:
    [reason] = standing(box(gemini=False, mode="active"), {"hls": FREE})
    assert reason.word == "gemini_key_missing" and "nothing is polled" in reason.text


def test_queued_jobs_of_unknown_types_stuck_jobs_and_little_room_are_reasons() -> None:
    counts = Counts({"gone": 2, "hls": 1, "empty": 0}, {}, {}, None)
    reasons = passing(QueueInspection(counts, ["job_a"], {}, LEAST_FREE - 1), {"hls": 1}, disk_full=False)
    assert words(reasons) == ["unknown_type", "stuck_jobs", "disk_low"]
    assert "gone" in reasons[0].text and "empty" not in reasons[0].text and "job_a" in reasons[1].text


def test_a_full_disk_is_a_reason_of_its_own() -> None:
    assert words(passing(QueueInspection(IDLE, [], {}, 5 << 20), {}, disk_full=True)) == ["disk_full"]


@pytest.mark.parametrize(("refused", "word"), [(False, "backend_down"), (True, "backend_refused")])
def test_a_backend_in_trouble_is_a_reason_that_says_since_when(refused: bool, word: str) -> None:
    [reason] = facing(Polling(trouble="answered 500", refused=refused, down_since=START))
    assert reason.word == word and "answered 500" in reason.text and "2030-01-01T00:00:00.000Z" in reason.text
