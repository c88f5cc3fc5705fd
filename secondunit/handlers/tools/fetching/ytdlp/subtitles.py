"""Subtitle download within yt-dlp's program, by its own means: headers, cookies, segmented streams.

They are read here because reading takes memory and time as their maker likes; the daemon gets `FILE.cues`, a JSON list
[start, end, text] a line, of a bounded size.
"""

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from yt_dlp import YoutubeDL  # noqa: TID253 - loaded by the program only
from yt_dlp.utils import YoutubeDLError  # noqa: TID253
from yt_dlp.webvtt import ParseError  # noqa: TID253

from secondunit.handlers.tools.fetching.ytdlp.jail import DownloadRefused
from secondunit.handlers.tools.subtitles.cue import LONGEST_CUE, MOST_BYTES, MOST_CUES, Cue, cues_file
from secondunit.handlers.tools.subtitles.formats import BadSubtitles, cues_of, decoded
from secondunit.handlers.tools.subtitles.tracks import chosen, own_language, tracks

# What is raised for what sites send; segments of subtitles that are no WebVTT have an error that is none of yt-dlp's.
DAMAGE = (YoutubeDLError, OSError, ParseError)


def fetch_subtitles(
    ydl: YoutubeDL, video: Mapping[str, Any], language: str | None, file: Path
) -> Mapping[str, Any] | None:
    """Save the track that is chosen for this language as `file`; its language and kind, None when there is none."""
    track = chosen(tracks(video), language, own_language(video))
    if track is None:
        return None
    file.unlink(missing_ok=True)
    content = track.place.get("data")
    if content is not None:
        file.write_text(str(content), errors="replace", newline="")
    else:
        ydl.dl(str(file), {"http_headers": video.get("http_headers"), **track.place}, subtitle=True)
    if not file.exists():
        raise DownloadRefused("no_subtitles", "its subtitles could not be fetched")
    write_cues(file)
    return {"language": track.language, "kind": track.kind}


def write_cues(file: Path) -> None:
    """Read the subtitles in `file` and write their cues beside it, as far as there is room."""
    try:
        found = cues_of(decoded(file.read_bytes()))
    except BadSubtitles as error:
        raise DownloadRefused("bad_subtitles", f"its subtitles can't be read: {error}") from None
    room = MOST_BYTES
    with cues_file(file).open("w") as lines:
        for number, (start, end, text) in enumerate(_pieces(found)):
            line = json.dumps([start, end, text]) + "\n"
            room -= len(line)
            if room < 0 or number > MOST_CUES:
                break
            lines.write(line)


def _pieces(found: Sequence[Cue]) -> Iterator[tuple[float, float, str]]:
    for cue in found:
        for at in range(0, len(cue.text), LONGEST_CUE):
            yield cue.start, cue.end, cue.text[at : at + LONGEST_CUE]


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Refuse what takes longer than so many seconds, again and again should something swallow the refusal."""

    def late(_: int, __: FrameType | None) -> None:
        raise DownloadRefused("subtitles_late", f"they took longer than {seconds:g} seconds")

    if seconds is None:
        yield
        return
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
