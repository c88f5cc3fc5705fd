"""Verification of a finished encode before it is published: an exit code of 0 proves nothing."""

from collections.abc import Sequence

from secondunit.handlers.hls.playlists import Playlist
from secondunit.handlers.tools.media.probe import MediaInfo
from secondunit.queue.outcome import Deterministic, Transient

SHORTER_SECONDS, SHORTER_SHARE = 1.0, 0.05
LONGER_SECONDS, LONGER_FACTOR = 10.0, 1.5


def verify(name: str, info: MediaInfo, videos: Sequence[Playlist], sound: Playlist | None) -> list[str]:
    """Warnings about an encode that may be published; raises for one that may not.

    A guessed duration accuses nobody.
    """
    cuts = {tuple(segment.duration for segment in video.segments) for video in videos}
    if len(cuts) != 1:
        raise Transient(f"the renditions of {name} are cut at different times", type="uneven_segments")
    if info.duration is None or info.estimated:
        return []
    length = max(playlist.duration for playlist in [*videos, *([sound] if sound else [])])
    if info.duration - length > max(SHORTER_SECONDS, SHORTER_SHARE * info.duration):
        raise Deterministic(
            f"{name} declares {info.duration:.1f} s, but only {length:.1f} s could be decoded: cut off or damaged",
            type="input_truncated",
        )
    if length > LONGER_FACTOR * info.duration + LONGER_SECONDS:
        return [f"duration_overrun: {name} declares {info.duration:.1f} s and holds {length:.1f} s"]
    return []
