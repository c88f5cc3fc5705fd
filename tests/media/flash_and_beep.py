"""Flash and beep: a film whose beeps begin with a white picture, and how far apart players show and sound them."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

BEATS = (1, 3, 6)  # seconds; they can't be mistaken for one another when shifted
SECONDS = 7
AT_MOST = 0.040
PLAYED_WITHIN = 4 * SECONDS
AT_ONCE = 4


def make(ffmpeg: str, folder: Path, rate: str, kind: str = "mp4", options: str = "", seconds: int = SECONDS) -> Path:
    """The film at this rate, in an MP4 with edit lists, as encoders write it; after `SECONDS` it begins again."""
    path = folder / f"{rate.replace('/', '-')}.{kind}"
    beats = [again + beat for again in range(0, seconds, SECONDS) for beat in BEATS]
    starts = [float(round(second * Fraction(rate)) / Fraction(rate)) for second in beats]
    lit = "+".join(f"between(t\\,{at - 0.001:.4f}\\,{at + 0.199:.4f})" for at in starts)
    heard = "+".join(f"between(t\\,{at:.4f}\\,{at + 0.1:.4f})" for at in starts)
    argv = [ffmpeg, "-y", "-v", "error", "-nostdin"]
    argv += ["-f", "lavfi", "-i", f"color=black:s=320x180:r={rate}:d={seconds}"]
    argv += ["-f", "lavfi", "-i", f"aevalsrc=0.5*sin(2*PI*1000*t)*({heard}):s=48000:d={seconds}"]
    argv += ["-vf", f"drawbox=c=white:t=fill:enable={lit}", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "aac"]
    subprocess.run([*argv, *options.split(), str(path)], check=True, timeout=50)
    return path


def play(node: Path, browser: str, films: Sequence[tuple[str, Path]]) -> Sequence[Mapping[str, Any]]:
    """What (player, playlist or file) each show in Chromium; what seems wrong is played again, alone."""
    told = [{"player": player, "file": str(file), "seconds": PLAYED_WITHIN} for player, file in films]
    shows: list[Mapping[str, Any]] = list(_told(node, browser, told, AT_ONCE))
    for _ in range(2):
        again = [i for i, show in enumerate(shows) if not (show["ended"] and _in_step(show))]
        for i, show in zip(again, _told(node, browser, [told[i] for i in again], 1), strict=True):
            shows[i] = show
    return shows


def scrub(node: Path, browser: str, films: Sequence[tuple[Path, float]]) -> Sequence[Any]:
    """For each (playlist, moment of an I-frame) when hls.js shows it and how bright (0 to 255) it is."""
    return _told(node, browser, [{"file": str(file), "moment": moment} for file, moment in films], AT_ONCE)


def colours(node: Path, browser: str, films: Sequence[tuple[str, Path]]) -> Sequence[tuple[int, ...]]:
    """For each (player, playlist or file; or "img", picture) the colour in the middle that a canvas in Chromium has."""
    told = [{"player": player, "file": str(file)} for player, file in films]
    return [tuple(colour) for colour in _told(node, browser, told, AT_ONCE)]


def apart(show: Mapping[str, Any]) -> float | None:
    """Seconds from the beep to the flash."""
    near = [flash - beep for flash in _clear(show) for beep in show["beeps"] if abs(flash - beep) < BEATS[0]]
    return median(near) if near else None


def milliseconds(show: Mapping[str, Any]) -> str:
    between = apart(show)
    return "none" if between is None else f"{round(1000 * between)}{'' if show['ended'] else ', no end'}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def faults(show: Mapping[str, Any], duration: float) -> Iterator[str]:
    """What is wrong with how a player showed something that should last so long."""
    if not show["ended"]:
        yield "did not end"
    if not _in_step(show):
        yield f"from beep to flash: {apart(show)}"
    if show["duration"] is None or abs(show["duration"] - duration) > AT_MOST:
        yield f"lasts {show['duration']} and not {duration}"
    yield from (error for error in show["errors"] if error.endswith("true"))


def _in_step(show: Mapping[str, Any]) -> bool:
    between = apart(show)
    return between is not None and abs(between) <= AT_MOST


def _clear(show: Mapping[str, Any]) -> Sequence[float]:
    """The flashes just before which no picture can have been missed, as a page does that is short of time."""
    seldom = 1.5 * show["duration"] / max(show["frames"], 1) if show["duration"] else 0
    return [seen for before, seen in show["flashes"] if seen - before < seldom]


def _told(node: Path, browser: str, films: Sequence[Mapping[str, Any]], at_once: int) -> Sequence[Any]:
    if not films:
        return []
    argv = ["node", str(node / "in_step.mjs"), browser, json.dumps(films), str(at_once)]
    limit = 80 + PLAYED_WITHIN * (1 + len(films) // at_once)
    said = subprocess.run(argv, check=True, timeout=limit, capture_output=True, text=True)
    shows: Sequence[Any] = json.loads(said.stdout)
    return shows
