"""A browser plays what the hls job publishes, to the end."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.media, pytest.mark.slow]


@pytest.fixture
def play(node: Path, browser: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Plays a result in Chromium; how that ended."""

    def ending(result: dict[str, Any]) -> dict[str, Any]:
        argv = ["node", str(node / "play.mjs"), browser, "4", str(Path(result["masterPath"]).parent)]
        said = subprocess.run(argv, check=True, timeout=50, capture_output=True, text=True)
        [told] = json.loads(said.stdout)
        return dict(told)

    return ending


@pytest.mark.parametrize("segments", ["fmp4", "ts"])
@pytest.mark.parametrize("clip", ["long.mp4", "silent.mp4", "bunny"])
async def test_hls_js_plays_it_to_the_end(
    studio: Any, clips: Callable[[str], Path], bunny: Path, play: Callable[..., Any], clip: str, segments: str
) -> None:
    source = bunny if clip == "bunny" else clips(clip)
    result = await studio.hls(source, segmentType=segments, qualities=["720p", "480p", "144p"])
    ending = play(result)
    # A gap of a few frames at the start (the encoder's delay) is stepped over; nothing may need more than that.
    assert ending["ended"] and [error for error in ending["errors"] if error.endswith("true")] == []
    assert ending["levels"] == len(result["renditions"])
    assert ending["duration"] == pytest.approx(result["duration"], abs=0.2)
    assert ending["frames"] > 0
    assert (ending["width"], ending["height"]) in [(r["width"], r["height"]) for r in result["renditions"]]
