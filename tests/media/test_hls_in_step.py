"""Sound and picture are in step wherever the result of the hls job is played."""

import json
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from tests.media.flash_and_beep import SECONDS, faults, make, milliseconds, play, table

pytestmark = [pytest.mark.media, pytest.mark.slow]
RATES = ("1", "5", "12", "24", "25", "30000/1001", "30", "50", "60")
PLAYERS = ("hls.js", "shaka")


@pytest.mark.parametrize("segments", ["fmp4", "ts"])
async def test_no_reader_needs_to_move_pictures_or_sound(
    studio: Any, media: Media, tmp_path: Path, segments: str
) -> None:
    result = await studio.hls(make(media.ffmpeg, tmp_path, "25"), segmentType=segments)
    video = Path(result["renditions"][0]["path"]).parent
    first = []
    for folder in (video, video.parent / "audio"):
        packets = read(media, folder / "index.m3u8")
        assert [packet["pts"] for packet in packets] == [packet["dts"] for packet in packets]
        first.append(float(packets[0]["pts_time"]))
        assert all(edits(init.read_bytes()) in ([], [(0, 0)]) for init in folder.glob("init*"))
    assert first[0] == pytest.approx(first[1], abs=0.001)


async def test_a_player_shows_what_it_sounds(
    studio: Any, media: Media, tmp_path: Path, node: Path, browser: str
) -> None:
    wanted = [("1", "fmp4"), ("25", "fmp4"), ("30000/1001", "ts")]
    results = [
        await studio.hls(make(media.ffmpeg, tmp_path, rate), to=segments + rate[:2], segmentType=segments)
        for rate, segments in wanted
    ]
    shows = play(node, browser, [("hls.js", Path(result["masterPath"])) for result in results])
    found = [list(faults(show, result["duration"])) for show, result in zip(shows, results, strict=True)]
    assert found == [[], [], []]


@pytest.mark.long
@pytest.mark.timeout(1500)
async def test_every_player_shows_what_it_sounds_at_every_rate(
    studio: Any, media: Media, tmp_path: Path, node: Path, browser: str, report: Callable[[str, str], None]
) -> None:
    films: list[tuple[str, Path]] = []
    lasts: list[float] = []
    for rate in RATES:
        film = make(media.ffmpeg, tmp_path, rate)
        films, lasts = [*films, ("none", film)], [*lasts, SECONDS]
        for segments in ("fmp4", "ts"):
            result = await studio.hls(film, to=f"{segments}-{film.stem}", segmentType=segments)
            films += [(player, Path(result["masterPath"])) for player in PLAYERS]
            lasts += [result["duration"]] * len(PLAYERS)
    shows = play(node, browser, films)
    wide = 1 + 2 * len(PLAYERS)
    rows = [
        [f"{float(Fraction(rate)):.4g}", *map(milliseconds, shows[i * wide : (i + 1) * wide])]
        for i, rate in enumerate(RATES)
    ]
    ways = [f"{segments} in {player}" for segments in ("fMP4", "TS") for player in ("hls.js", "Shaka")]
    report("in step", table(["frames a second", "the source itself", *ways], rows))
    wrong = [list(faults(show, seconds)) for show, seconds in zip(shows, lasts, strict=True)]
    assert {str(films[i]): fault for i, fault in enumerate(wrong) if fault} == {}


def read(media: Media, playlist: Path) -> Sequence[dict[str, Any]]:
    """The packets as ffmpeg's demuxer gives them."""
    argv = [media.ffprobe, "-v", "error", "-show_packets", "-of", "json", str(playlist)]
    said = subprocess.run(argv, check=True, timeout=30, capture_output=True, text=True)
    packets: Sequence[dict[str, Any]] = json.loads(said.stdout)["packets"]
    return packets


def edits(init: bytes) -> Sequence[tuple[int, int]]:
    """The edit list of an init segment: durations and media times (ISO 14496-12, 8.6.6, version 0)."""
    at = init.find(b"elst")
    words = [int.from_bytes(init[i : i + 4], "big") for i in range(at + 8, len(init) - 3, 4)] if at >= 0 else [0]
    return [(words[1 + 3 * i], words[2 + 3 * i]) for i in range(words[0])]
