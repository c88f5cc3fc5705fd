"""What an encode may take, and what it is said to take before it starts."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from secondunit.handlers.hls.budget import cpu_estimate, cpu_limit
from secondunit.handlers.hls.plan import HlsPlan, Passthrough, plan
from secondunit.handlers.tools.media.probe import MediaInfo, Video

VIDEO = Video(0, "h264", 1920, 1080, Fraction(1), 0, Fraction(25), Fraction(25), "yuv420p", "", "", False)
HOUR = MediaInfo("mov", 3600.0, False, False, VIDEO, None)


def todo(qualities: str, **changes: Any) -> HlsPlan:
    return replace(plan(HOUR, VIDEO, qualities.split(), "fmp4"), **changes)


@pytest.mark.parametrize(
    ("duration", "size", "limit"), [(1.0, 9, 3600), (60.0, 9, 24_000), (1.0, 2_000_000, 40_000), (None, 9, 34_560_000)]
)
def test_a_bomb_ends_and_the_slowest_real_encode_does_not(duration: float | None, size: int, limit: int) -> None:
    assert cpu_limit(replace(HOUR, duration=duration), size) == limit


def test_an_hour_is_estimated_by_the_pixels_that_are_read_and_written() -> None:
    pixels = 1920 * 1080 * 25 / 1e6  # millions a second; a slow core takes four times as long
    one = 5 + 4 * 3600 * (0.02 + pixels * (0.006 + 0.03))
    assert cpu_estimate(todo("1080p"), 3600) == pytest.approx(one, abs=1)
    hdr = todo("1080p", video=replace(VIDEO, transfer="smpte2084"))
    assert cpu_estimate(hdr, 3600) == pytest.approx(one + 4 * 3600 * pixels * 0.15, abs=1)


def test_less_work_is_estimated_as_less() -> None:
    copied = Passthrough(picture=True)
    hdr = replace(VIDEO, transfer="smpte2084")
    plans = [
        todo("1080p", copied=copied),
        todo("1080p 720p 480p", copied=copied),
        todo("1080p"),
        todo("1080p 720p 480p"),
        todo("1080p 720p 480p", video=hdr),
    ]
    estimates = [cpu_estimate(one, 3600) for one in plans]
    assert estimates == sorted(estimates) and estimates[0] < estimates[3] / 50
    assert cpu_estimate(plans[3], 1800) == pytest.approx(estimates[3] / 2, rel=0.01)
