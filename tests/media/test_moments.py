"""The picture of the moment that was asked for, and its own time, from films whose frames say which they are."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.media.films import RATE, number_of

pytestmark = pytest.mark.media
FRAMES = 350


def shown(path: object) -> int:
    """The number of the frame that a picture is of."""
    from PIL import Image

    with Image.open(str(path)) as image:
        return number_of(image)


@pytest.mark.parametrize(
    ("clip", "asked"),
    [
        ("coded.ts", 0),
        ("coded.ts", 5.1),
        ("coded.ts", 11.1),
        ("coded.ts", 13.9),
        ("open gop.ts", 7.9),
        ("hevc.ts", 11.1),
        ("coded.mpg", 9.5),
        ("coded.mp4", 5.99),
        ("coded.mkv", 7.92),
        ("coded.avi", 11.1),
        pytest.param("coded.flv", 11.1, marks=pytest.mark.long),
    ],
)
async def test_the_picture_is_the_one_on_the_screen_then(
    studio: Any, clips: Callable[[str], Path], clip: str, asked: float
) -> None:
    result = await studio.thumbnail(clips(clip), timestamp=asked)
    assert shown(result["outputPath"]) == int(asked * RATE + 0.001)
    assert result["timestamp"] == pytest.approx(shown(result["outputPath"]) / RATE, abs=0.002)


async def test_the_time_that_was_told_gives_the_same_picture(studio: Any, clips: Callable[[str], Path]) -> None:
    first = await studio.thumbnail(clips("plain.mp4"), to="first.png", timestamp=1.3)
    again = await studio.thumbnail(clips("plain.mp4"), to="again.png", timestamp=first["timestamp"])
    assert first["timestamp"] == 1.292 == again["timestamp"]


@pytest.mark.parametrize("clip", ["coded.ts", "coded.mp4", "coded.mpg"])
async def test_after_the_end_it_is_the_last_picture(studio: Any, clips: Callable[[str], Path], clip: str) -> None:
    result = await studio.thumbnail(clips(clip), timestamp="00:01:00")
    assert shown(result["outputPath"]) == FRAMES - 1 and result["timestamp"] == pytest.approx(13.96, abs=0.002)


async def test_a_share_is_one_of_the_pictures_however_long_the_sound_is(
    studio: Any, clips: Callable[[str], Path]
) -> None:
    result = await studio.thumbnail(clips("coded.mp4"), timestamp="90%")
    assert shown(result["outputPath"]) == FRAMES * 9 // 10


async def test_a_picture_that_stands_for_long_is_the_one_shown(studio: Any, clips: Callable[[str], Path]) -> None:
    result = await studio.thumbnail(clips("slides.mp4"), timestamp=11.9)
    assert (shown(result["outputPath"]), result["timestamp"]) == (2, 8.0)


@pytest.mark.parametrize(("asked", "told"), [("auto", 2.8), (20.3, 20.28)])
async def test_where_the_clock_jumps_time_is_what_has_been_played(
    studio: Any, joined: Path, asked: Any, told: float
) -> None:
    result = await studio.thumbnail(joined, timestamp=asked)
    assert result["timestamp"] == pytest.approx(told, abs=0.05)
    assert shown(result["outputPath"]) == pytest.approx(result["timestamp"] % 14 * RATE, abs=1)


@pytest.fixture
def joined(clips: Callable[[str], Path], tmp_path: Path) -> Path:
    """Two recordings in one file; the second's clock is at 25 hours."""
    both = tmp_path / "joined.ts"
    both.write_bytes(clips("coded.ts").read_bytes() + clips("open gop.ts").read_bytes())
    return both


async def test_the_times_of_stills_are_those_of_their_pictures(studio: Any, clips: Callable[[str], Path]) -> None:
    taken = await studio.stills(clips("coded.ts"), 4)
    assert [shown(still.path) for still in taken] == [43, 131, 219, 306]
    assert [still.at for still in taken] == pytest.approx([shown(still.path) / RATE for still in taken], abs=0.002)


async def test_stills_where_the_clock_jumps_are_of_all_that_is_played(studio: Any, joined: Path) -> None:
    taken = await studio.stills(joined, 7)
    assert 14 < taken[-1].at < 28
    assert [shown(still.path) for still in taken] == pytest.approx([still.at % 14 * RATE for still in taken], abs=1)


async def test_many_moments_are_one_job(studio: Any, clips: Callable[[str], Path]) -> None:
    asked = [5.1, 4.4, "50%", 60, 5.1]
    result = await studio.thumbnail(clips("coded.mp4"), to="at {n}.png", timestamps=asked)
    outputs = result["outputs"]
    assert [Path(one["outputPath"]).name for one in outputs] == [f"at {number}.png" for number in range(1, 6)]
    assert [shown(one["outputPath"]) for one in outputs] == [127, 110, 250, 349, 127]
    assert [one["timestamp"] for one in outputs] == [5.08, 4.4, 10.0, 13.96, 5.08]


@pytest.mark.parametrize("clip", ["coded.mp4", "coded.mkv"])
async def test_moments_of_one_gop_are_decoded_once_and_from_its_key_frame(
    studio: Any, clips: Callable[[str], Path], clip: str
) -> None:
    asked = [4.2, 4.6, 5.0, 5.96]
    result = await studio.thumbnail(clips(clip), to="at {n}.png", timestamps=asked)
    assert [shown(one["outputPath"]) for one in result["outputs"]] == [105, 115, 125, 149]
    log = (studio.scratch / "log").read_text()
    assert log.count("-f image2") == 1 and len(re.findall(r"ffmpeg\S* .*-ss 4\.201 ", log)) == 1
