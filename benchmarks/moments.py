"""Thumbnails: CPU of one picture, and of ten whose moments lie in one group of pictures."""

from pathlib import Path

import ladder
from daemons import media

# One key frame each two seconds; 4.0 is one of them, 5.96 the last picture before the next.
GROUP = ("group", "1280:720", "-crf 20 -r 25 -g 50 -keyint_min 50 -sc_threshold 0")
FIRST, LAST, MANY = 4.0, 5.96, 10
JOBS = 3


def one(folder: Path) -> ladder.Figures:
    """A job that takes the last picture of the group."""
    return _taken(folder, {"outputPath": str(media(folder) / "one.webp"), "timestamp": LAST})


def ten(folder: Path) -> ladder.Figures:
    """A job that takes ten, from the first to the last."""
    moments = [round(FIRST + (LAST - FIRST) * i / (MANY - 1), 3) for i in range(MANY)]
    return _taken(folder, {"outputPath": str(media(folder) / "{n}.webp"), "timestamps": moments})


def _taken(folder: Path, payload: dict[str, object]) -> ladder.Figures:
    film = ladder.put(folder, ladder.clip(8, GROUP))
    return ladder.job(folder, "thumbnail", {"videoPath": str(film), **payload}, JOBS)[0]
