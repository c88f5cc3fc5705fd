"""I-frame playlists: each range alone is one key frame of its moment, and a player scrubs over them."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from tests.media.flash_and_beep import make, scrub

pytestmark = [pytest.mark.media, pytest.mark.slow]
SEGMENTS = ("fmp4", "ts")


@pytest.mark.parametrize("segments", SEGMENTS)
async def test_each_range_alone_is_the_key_frame_of_its_moment(
    studio: Any, media: Media, clips: Callable[[str], Path], judge: Callable[..., Any], segments: str
) -> None:
    result = await studio.hls(clips("long.mp4"), segmentType=segments, qualities=["144p"])
    understood = judge(result)
    home = Path(result["masterPath"]).parent
    assert [frames["resolution"] for frames in understood["iframes"]] == [
        {"width": rung["width"], "height": rung["height"]} for rung in result["renditions"]
    ]
    for frames, variant in zip(understood["iframes"], understood["variants"], strict=True):
        assert frames["only"] and frames["codecs"] == variant["codecs"].split(",")[0]
        assert frames["bandwidth"] < variant["bandwidth"]
        durations = [found["duration"] for found in frames["ranges"]]
        assert durations == [2] * 10
        times = [shown(media, home, frames["init"], found) for found in frames["ranges"]]
        assert [time - times[0] for time in times] == pytest.approx([sum(durations[:i]) for i in range(len(times))])


async def test_a_player_scrubs(studio: Any, media: Media, tmp_path: Path, node: Path, browser: str) -> None:
    film = make(media.ffmpeg, tmp_path, "25")  # white at 6 seconds
    results = [await studio.hls(film, to=segments, segmentType=segments) for segments in SEGMENTS]
    found = scrub(node, browser, [(Path(result["masterPath"]), at) for result in results for at in (0, 6)])
    assert [(round(at), bright > 128) for at, bright in found] == [(0, False), (6, True)] * 2


def shown(media: Media, home: Path, init: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """When the only picture of a range is shown; it must be a key frame that decodes without any other."""
    argv = [media.ffprobe, "-v", "fatal", "-show_frames", "-of", "json", "-"]
    said = subprocess.run(
        argv, input=piece(home, init) + piece(home, found), check=True, timeout=30, capture_output=True
    )
    [frame] = json.loads(said.stdout)["frames"]
    assert (frame["key_frame"], frame["pict_type"]) == (1, "I")
    return float(frame["pts_time"])


def piece(home: Path, told: Mapping[str, Any]) -> bytes:
    """The bytes of a file that are named."""
    content: bytes = (home / told["uri"]).read_bytes()
    return content[told.get("offset", 0) :][: told.get("length", len(content))]
