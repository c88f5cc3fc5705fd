"""What becomes of real files: each is given to `hls`, `thumbnail` and `webp`; streams are decoded and played."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.webp import handler as webp
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.validation import validated
from tests.media.real.conftest import package

pytestmark = [pytest.mark.media, pytest.mark.long]
FEWEST = 60
QUALITIES = ["1080p", "240p"]
FASTER = 8
AT_MOST = 0.1  # seconds, between what the playlists say and what a player found


@dataclass
class Row:
    """One file, and what is to be said of it."""

    path: Path
    made: dict[str, str] = field(default_factory=dict)
    stream: dict[str, Any] | None = None
    segments: int = 0
    faults: list[str] = field(default_factory=list)


@pytest.mark.timeout(3000)
async def test_real_files_are_made_or_refused_and_what_is_made_plays(
    studio: Any,
    media: Media,
    real_files: Sequence[Path],
    node: Path,
    browser: str,
    tmp_path: Path,
    report: Callable[[str, str], None],
) -> None:
    rows = []
    for number, path in enumerate(real_files):
        scratch = tmp_path / f"scratch-{number}"
        scratch.mkdir()
        rows.append(await tried(replace(studio, scratch=scratch), path, str(number)))
    streams = [row for row in rows if row.stream]
    shows = play(node, browser, [Path(row.stream["masterPath"]).parent for row in streams if row.stream])
    for row, show in zip(streams, shows, strict=True):
        row.made["plays"] = "to the end" if show["ended"] else f"stops at {show['time']:.1f} s"
        apart = show["duration"] - (row.stream or {})["duration"]
        row.made["apart"] = f"{round(1000 * apart)} ms"
        if not show["ended"] or abs(apart) > AT_MOST:
            row.faults.append(f"{row.made['plays']}, {row.made['apart']}")
        row.faults += [error for error in show["errors"] if error.endswith("true")]
        row.segments, said = decoded(media, row.stream or {})
        row.faults += said
    columns = ("hls", "segments", "apart", "plays", "thumbnail", "webp")
    lines = [[f"{package(row.path)}: {row.path.name}", *(told(row, column) for column in columns)] for row in rows]
    head = ["file", "hls", "segments decoded", "media time, of EXTINF's sum", "hls.js plays it", "thumbnail", "webp"]
    report("real files", "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines]))
    assert len(rows) >= FEWEST
    assert {row.path.name: row.faults for row in rows if row.faults} == {}


async def tried(studio: Any, path: Path, name: str) -> Row:
    """What the three job types make of a file."""
    row = Row(path)
    clip = studio.root / f"{name} {path.name}"
    await asyncio.to_thread(shutil.copyfile, path, clip)

    async def stream() -> str:
        row.stream = await studio.hls(clip, to=name, qualities=QUALITIES)
        rungs = [f"{rung['width']}x{rung['height']}" for rung in row.stream["renditions"]]
        copied = ", copied" if any(rung.get("copied") for rung in row.stream["renditions"]) else ""
        return f"{row.stream['duration']:.2f} s, {rungs[0]}{copied}"

    async def picture() -> str:
        made = await studio.thumbnail(clip, to=f"{name}.png", timestamp="auto")
        return f"{made['width']}x{made['height']} at {made['timestamp']:g} s"

    async def still() -> str:
        spec = webp.build(studio.tools)
        payload = {"inputPath": str(clip), "outputPath": str(studio.root / f"{name}.webp")}
        made = dict(await spec.run(studio.context(), validated(spec, payload)))
        warned = ", warned" if made.get("warnings") else ""
        return f"{made['width']}x{made['height']}, {made['frames']} frame{'s' * (made['frames'] > 1)}{warned}"

    for kind, make in (("hls", stream), ("thumbnail", picture), ("webp", still)):
        row.made[kind] = await made_or_refused(row, make)
    return row


async def made_or_refused(row: Row, make: Callable[[], Awaitable[str]]) -> str:
    try:
        return await make()
    except Deterministic as refused:
        return f"`{refused.type}`"
    except Transient as refused:
        row.faults.append(f"would be tried again: {refused}")
        return f"**{refused.type}**"


def told(row: Row, column: str) -> str:
    if column == "segments":
        return str(row.segments) if row.stream else ""
    return row.made.get(column, "")


def decoded(media: Media, stream: dict[str, Any]) -> tuple[int, list[str]]:
    """How many segments the rungs have, and what a decoder says against them."""
    count, faults = 0, []
    for rung in stream["renditions"]:
        playlist = Path(rung["path"])
        count += playlist.read_text().count("#EXTINF")
        argv = [media.ffmpeg, "-v", "error", "-nostdin", "-i", str(playlist), "-f", "null", "-"]
        said = subprocess.run(argv, check=False, timeout=300, capture_output=True, text=True).stderr
        faults += [f"{rung['name']}: {said[:200]}"] * bool(said)
    return count, faults


def play(node: Path, browser: str, folders: Sequence[Path]) -> Sequence[dict[str, Any]]:
    """How each master playlist plays in Chromium with hls.js, faster than it is."""
    argv = ["node", str(node / "play.mjs"), browser, str(FASTER), *map(str, folders)]
    said = subprocess.run(argv, check=True, timeout=1500, capture_output=True, text=True)
    shows: Sequence[dict[str, Any]] = json.loads(said.stdout)
    return shows
