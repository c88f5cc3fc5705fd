"""Fetches one of a video's subtitles within yt-dlp's program, by its own means: headers, cookies, segmented streams."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from yt_dlp import YoutubeDL  # noqa: TID253 - loaded by the program only
from yt_dlp.utils import YoutubeDLError  # noqa: TID253
from yt_dlp.webvtt import ParseError  # noqa: TID253

from secondunit.handlers.tools.fetching.ytdlp.jail import DownloadRefused
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
    return {"language": track.language, "kind": track.kind}


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
