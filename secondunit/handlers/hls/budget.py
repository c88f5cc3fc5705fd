"""CPU budget of an encode: the limit that ends it, and an estimate that is told before it starts; pure."""

from math import ceil

from secondunit.handlers.hls.plan import HlsPlan
from secondunit.handlers.tools.media.probe import MediaInfo

# Bombs end by these. The slowest real encode (4K at 60 frames a second, tone-mapped, on old cores) takes a fifth of it.
CPU_A_SECOND, LEAST_CPU, LONGEST_SECONDS = 400, 3600, 24 * 3600
SLOWEST_BYTES = 20_000  # a second; a file that is larger than its declared length explains is longer than that
# CPU seconds for a million pixels, on a core of 2020; one may be so much slower.
DECODED, TONE_MAPPED, ENCODED, SLOWER = 0.006, 0.15, 0.03, 4
# CPU seconds: for any job, and for each second of film that is copied, read and written.
AT_LEAST, READ = 5, 0.02


def cpu_limit(info: MediaInfo, size: int) -> int:
    """The CPU time that each program may take for a file of `size` bytes."""
    return max(LEAST_CPU, round(CPU_A_SECOND * _seconds(info, size)))


def cpu_estimate(todo: HlsPlan, seconds: float) -> int:
    """The CPU seconds that the whole job should take at most, on a slow core, for a film that lasts so long."""
    video, rate = todo.video, float(todo.rate.value)
    source = video.width * video.height * rate * (DECODED + (TONE_MAPPED if video.hdr else 0)) if todo.encoded else 0
    encoded = sum(rung.width * rung.height for rung in todo.encoded) * rate * ENCODED
    return ceil(AT_LEAST + SLOWER * seconds * (READ + (source + encoded) / 1e6))


def _seconds(info: MediaInfo, size: int) -> float:
    seconds = LONGEST_SECONDS if info.duration is None else max(info.duration, size / SLOWEST_BYTES)
    return min(seconds, LONGEST_SECONDS)
