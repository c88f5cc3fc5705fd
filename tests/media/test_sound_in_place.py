"""Sound in its place: films that flash and beep at the same moments still do when they are published."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from tests.media.beats import BEATS, beeps, film, flashes, joined, run

pytestmark = pytest.mark.media
IN_STEP, ABOUT = 0.04 + 1e-9, 0.06
Made = Callable[..., Path]


def stereo_after_mono(make: Made, folder: Path) -> Path:
    return joined(
        folder / "film.ts",
        make(folder / "a.ts", 4, ""),
        make(folder / "b.ts", 5, "-output_ts_offset 4.2", at=4.2, sound="stereo", rate=44100),
    )


def another_clock(make: Made, folder: Path) -> Path:
    return joined(
        folder / "film.ts",
        make(folder / "a.ts", 4, "", sound="stereo"),
        make(folder / "b.ts", 5, "-output_ts_offset 5000", at=4, sound="stereo", rate=44100),
    )


def other_rates(make: Made, folder: Path) -> Path:
    parts = ((0, 4, 48000), (4.2, 2.6, 32000), (7, 3, 48000))
    return joined(
        folder / "film.ts",
        *(
            make(folder / f"{at}.ts", seconds, f"-c:a mp2 -output_ts_offset {at}", at=at, rate=rate)
            for at, seconds, rate in parts
        ),
    )


def channels_and_rate(make: Made, folder: Path) -> Path:
    return joined(
        folder / "film.ts",
        make(folder / "a.ts", 4, "-c:a mp2", sound="stereo", rate=32000),
        make(folder / "b.ts", 5, "-c:a mp2 -output_ts_offset 4.2", at=4.2),
    )


def pictures_that_overlap(make: Made, folder: Path) -> Path:
    return joined(
        folder / "film.ts",
        make(folder / "a.ts", 4.5, "-c:a ac3", sound="stereo"),
        make(folder / "b.ts", 5, "-c:a ac3 -output_ts_offset 4.5", at=4.5, sound="stereo"),
    )


def surround_after_stereo(make: Made, folder: Path) -> Path:
    return joined(
        folder / "film.ts",
        make(folder / "a.ts", 4, "-c:a ac3", sound="stereo"),
        make(folder / "b.ts", 5, "-c:a ac3 -output_ts_offset 4.2", at=4.2, sound="5.1"),
    )


def clock_that_wraps(make: Made, folder: Path) -> Path:
    return make(folder / "film.ts", 9, f"-output_ts_offset {2**33 / 90000 - 5}")


def open_groups_of_pictures(make: Made, folder: Path) -> Path:
    return make(folder / "film.ts", 9, "-bf 3 -x264-params open-gop=1:b-pyramid=normal")


def a_gap_in_the_sound(make: Made, folder: Path) -> Path:
    return make(folder / "film.mkv", 9, "-c:a pcm_s16le -af aselect=not(between(t\\,3.5\\,5))")


def a_short_gap_in_the_sound(make: Made, folder: Path) -> Path:
    return make(folder / "film.mkv", 9, "-c:a pcm_s16le -af aselect=not(between(t\\,3.5\\,3.58))")


@pytest.fixture
def make(media: Media) -> Made:
    return partial(film, media)


@pytest.fixture
def beats(studio: Any, media: Media) -> Callable[..., Any]:
    """The flashes and the beeps of a film as it was published."""

    async def published(clip: Path) -> tuple[list[float], list[float]]:
        result = await studio.hls(clip, qualities=["240p"])
        sound = Path(result["masterPath"]).parent / "audio" / "index.m3u8"
        return flashes(media, result["renditions"][0]["path"]), beeps(media, str(sound))

    return published


long = pytest.mark.long


@pytest.mark.parametrize(
    "source",
    [
        stereo_after_mono,
        pytest.param(other_rates, marks=long),
        channels_and_rate,
        pictures_that_overlap,
        a_short_gap_in_the_sound,
        pytest.param(another_clock, marks=long),
        pytest.param(surround_after_stereo, marks=long),
        pytest.param(a_gap_in_the_sound, marks=long),
        pytest.param(clock_that_wraps, marks=long),
        pytest.param(open_groups_of_pictures, marks=long),
    ],
)
async def test_sound_and_picture_stay_together(
    make: Made, beats: Callable[..., Any], tmp_path: Path, source: Any
) -> None:
    flashed, beeped = await beats(source(make, tmp_path))
    assert flashed == pytest.approx(BEATS, abs=0.1) and beeped == pytest.approx(flashed, abs=IN_STEP)


@pytest.mark.parametrize(
    ("cuts", "flash", "beep"),
    [
        (("", "-ss 2.5"), BEATS, BEATS[1:]),
        pytest.param(("-ss 2.5", ""), BEATS[1:], BEATS, marks=long),
        pytest.param(("", "-to 4"), BEATS, BEATS[:2], marks=long),
        pytest.param(("-to 4", ""), BEATS[:2], BEATS, marks=long),
    ],
)
async def test_a_track_that_begins_later_or_ends_sooner_stays_where_it_was(
    make: Made,
    media: Media,
    beats: Callable[..., Any],
    tmp_path: Path,
    cuts: Any,
    flash: Any,
    beep: Any,
) -> None:
    whole = make(tmp_path / "whole.mkv", 9, "")
    pictures, sound = (cut.split() for cut in cuts)
    argv = [media.ffmpeg, "-v", "error", "-copyts", *pictures, "-i", whole, *sound, "-i", whole]
    run([*argv, "-map", "0:v", "-map", "1:a", "-c", "copy", tmp_path / "film.mkv"])
    flashed, beeped = await beats(tmp_path / "film.mkv")
    assert flashed == pytest.approx(flash, abs=ABOUT) and beeped == pytest.approx(beep, abs=ABOUT)


@pytest.mark.long
async def test_a_film_cut_by_its_edit_list_stays_together(
    make: Made, media: Media, beats: Callable[..., Any], tmp_path: Path
) -> None:
    whole = make(tmp_path / "whole.mp4", 9, "")
    run([media.ffmpeg, "-v", "error", "-ss", 0.5, "-i", whole, "-c", "copy", tmp_path / "film.mp4"])
    flashed, beeped = await beats(tmp_path / "film.mp4")
    assert flashed == pytest.approx([beat - 0.5 for beat in BEATS], abs=ABOUT)
    assert beeped == pytest.approx(flashed, abs=IN_STEP)
