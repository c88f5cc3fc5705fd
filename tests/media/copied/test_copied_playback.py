"""Players show copied rungs and those beside them in step, also when they change the rung at each segment."""

from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from tests.media.flash_and_beep import faults, make, milliseconds, play, table

pytestmark = [pytest.mark.media, pytest.mark.slow]
TAGS = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
STEREO = f"-ac 2 {TAGS} -preset ultrafast -keyint_min 1 -sc_threshold 0"
SECONDS = 14  # three segments
PLAYERS = ("hls.js", "shaka", "hls.js, switching", "shaka, switching")
PLAYED = [
    ("25", "mp4", "-bf 2 -g 25", "fmp4"),
    ("25", "ts", "-bf 2 -g 50", "fmp4"),
    ("5", "mkv", "-bf 2 -g 10", "fmp4"),
    ("24000/1001", "mp4", "-bf 0 -g 48 -ar 44100", "ts"),
    ("60", "mp4", "-bf 3 -g 120", "fmp4"),
    ("25", "mp4", "-bf 2 -g 25 -c:a ac3", "fmp4"),
    ("25", "ts", "-bf 0 -g 25 -c:a mp2", "ts"),
]


@pytest.fixture
def shown(studio: Any, media: Media, tmp_path: Path, node: Path, browser: str) -> Any:
    """What each player shows of each film that was put through the job, and what is wrong with that."""

    async def publish_and_play(played: Any, players: Any) -> tuple[list[Any], list[list[str]]]:
        films, lasts = [], []
        for number, (rate, kind, options, segments) in enumerate(played):
            source = make(media.ffmpeg, tmp_path, rate, f"{number}.{kind}", f"{STEREO} {options}", SECONDS)
            ask = {"qualities": ["180p", "144p", "100p"], "segmentType": segments, "to": f"out-{number}"}
            result = await studio.hls(source, **ask)
            assert {rung["height"] for rung in result["renditions"] if rung["copied"]} == {180}
            films += [(player, Path(result["masterPath"])) for player in players]
            lasts += [result["duration"]] * len(players)
        shows = play(node, browser, films)
        for (player, _), show in zip(films, shows, strict=True):
            assert "switching" not in player or set(show["levels"]) == {0, 1, 2}, show
        return list(shows), [list(faults(show, seconds)) for show, seconds in zip(shows, lasts, strict=True)]

    return publish_and_play


@pytest.mark.long
async def test_a_copied_rung_is_in_step_when_the_player_changes_at_each_segment(shown: Any) -> None:
    _, wrong = await shown(PLAYED[1:2], PLAYERS[2:3])
    assert wrong == [[]]


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_every_player_shows_copied_rungs_in_step(shown: Any, report: Any) -> None:
    shows, wrong = await shown(PLAYED, PLAYERS)
    rows = [
        [f"{kind}, {rate} a second, `{options}`", segments]
        + [milliseconds(show) for show in shows[i * len(PLAYERS) : (i + 1) * len(PLAYERS)]]
        for i, (rate, kind, options, segments) in enumerate(PLAYED)
    ]
    report("copied rungs", table(["source", "segments", *PLAYERS], rows))
    assert not any(wrong), wrong
