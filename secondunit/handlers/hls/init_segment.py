"""Init segment of a rendition: its headers alone. Blocking.

Told to begin a fragment at key frames (`movflags=+frag_keyframe`), ffmpeg's HLS muxer takes all that it has written by
the end of the first media segment for the init segment, but for that segment's last fragment.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from secondunit.handlers.hls.demux import boxes
from secondunit.handlers.hls.playlists import Playlist

HEADERS = (b"ftyp", b"moov")
SEGMENT_TYPE = b"styp"


def parted(home: Path, video: Playlist) -> Playlist:
    """The same rendition once what its init segment holds of the first media segment lies there."""
    if video.init is None:
        return video
    init, first = home / video.name / video.init, home / video.name / video.segments[0].uri
    headers = sum(box.size for box in boxes(init) if box.kind in HEADERS)
    if headers == init.stat().st_size:
        return video
    type = next((box.size for box in boxes(first) if box.kind == SEGMENT_TYPE), 0)
    whole = first.with_suffix(".part")
    with init.open("rb") as before, first.open("rb") as after, whole.open("wb") as made:
        made.write(after.read(type))
        before.seek(headers)
        shutil.copyfileobj(before, made)
        shutil.copyfileobj(after, made)
    whole.rename(first)
    os.truncate(init, headers)
    segment = replace(video.segments[0], size=first.stat().st_size)
    return replace(video, segments=(segment, *video.segments[1:]))
