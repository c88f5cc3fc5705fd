"""Sprite sheets for scrubbing, judged as a player does: the index is read, each tile cut out and looked at."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from secondunit.queue.outcome import Deterministic
from tests.media.films import RATE, number_of

pytestmark = pytest.mark.media
CUE = re.compile(r"(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")


def tiles(index: Path) -> Iterator[tuple[float, float, int]]:
    """Of each cue its start and end in seconds, and the number of the frame that its tile shows."""
    from PIL import Image

    head, *cues = index.read_text().strip().split("\n\n")
    assert head == "WEBVTT"
    for cue in cues:
        match = CUE.fullmatch(cue)
        assert match, cue
        times = [60 * (60 * int(match[i]) + int(match[i + 1])) + float(match[i + 2]) for i in (1, 4)]
        x, y, width, height = map(int, match.groups()[7:])
        with Image.open(index.parent / unquote(urlsplit(match[7]).path)) as image:
            assert x + width <= image.width and y + height <= image.height
            yield times[0], times[1], number_of(image.crop((x, y, x + width, y + height)))


# coded.mp4 and coded.ts say that they last as long as their sound: 20 s the one, 14 s the other.
@pytest.mark.parametrize(
    ("clip", "name", "columns", "rows"),
    [
        ("coded.mp4", "all # of 50%.webp", 4, 2),
        ("coded.mkv", "all.png", 10, 5),
        ("coded.ts", "all.jpg", 3, 1),
        pytest.param("coded.mpg", "all.avif", 2, 2, marks=pytest.mark.long),
    ],
)
async def test_each_tile_is_the_picture_at_the_start_of_its_cue(
    studio: Any, clips: Callable[[str], Path], clip: str, name: str, columns: int, rows: int
) -> None:
    result = await studio.thumbnail(clips(clip), to=name, sprite={"columns": columns, "rows": rows})
    found = list(tiles(Path(result["indexPath"])))
    assert len(found) == columns * rows
    assert [number for _, _, number in found] == [int((start + 0.001) * RATE) for start, _, _ in found]
    starts, lasts = [start for start, _, _ in found], found[-1][1]
    assert starts == pytest.approx([lasts * i / len(found) for i in range(len(found))], abs=0.001)
    assert lasts == pytest.approx(14, abs=0.5)
    assert [end for _, end, _ in found][:-1] == starts[1:]
    assert result["timestamps"] == pytest.approx([number / RATE for _, _, number in found], abs=0.002)
    assert {key: result[key] for key in ("columns", "rows", "tileWidth", "tileHeight", "width", "height")} == {
        "columns": columns,
        "rows": rows,
        "tileWidth": 192,
        "tileHeight": 48,
        "width": 192 * columns,
        "height": 48 * rows,
    }
    assert result["size"] == (studio.root / name).stat().st_size


async def test_a_sheet_that_is_too_high_is_refused_and_leaves_nothing(
    studio: Any, clips: Callable[[str], Path]
) -> None:
    with pytest.raises(Deterministic, match=r"320x22720.*fewer sprite\.columns") as refused:
        await studio.thumbnail(clips("portrait.mp4"), sprite={"columns": 1, "rows": 40})
    assert refused.value.type == "image_too_large"
    assert [file.name for file in studio.root.iterdir() if file.is_file()] == ["portrait.mp4"]


async def test_subtitles_where_the_index_would_go_stay(studio: Any, clips: Callable[[str], Path]) -> None:
    subtitles = studio.root / "sheet.vtt"
    subtitles.write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nmine\n")
    ask = {"to": "sheet.png", "sprite": {"columns": 2, "rows": 1}}
    with pytest.raises(Deterministic, match=r"sheet\.vtt.*no such index") as refused:
        await studio.thumbnail(clips("coded.mp4"), **ask)
    assert refused.value.type == "output_not_ours" and "mine" in subtitles.read_text()
    assert not (studio.root / "sheet.png").exists()
    subtitles.unlink()
    for _ in range(2):  # an index of ours is replaced
        assert (await studio.thumbnail(clips("coded.mp4"), **ask))["indexPath"] == str(subtitles)


def find(node: Path, browser: str, film: Path, index: str, moments: list[float]) -> list[int]:
    """The numbers of the frames that Shaka shows for these moments."""
    told = json.dumps([{"file": str(film), "index": index, "moments": moments}])
    argv = ["node", str(node / "in_step.mjs"), browser, told, "1"]
    said = subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True)
    [shown] = json.loads(said.stdout)
    return list(shown)


@pytest.mark.slow
async def test_shaka_finds_the_tiles(studio: Any, clips: Callable[[str], Path], node: Path, browser: str) -> None:
    film = studio.put(clips("coded.mp4"))
    result = await studio.thumbnail(film, to="a sheet.png", sprite={"columns": 4, "rows": 2})
    asked = [0, 1.8, 7.1, 13.9]
    assert find(node, browser, film, Path(result["indexPath"]).name, asked) == [
        int(14 / 8 * (moment // (14 / 8)) * RATE + 0.001) for moment in asked
    ]
