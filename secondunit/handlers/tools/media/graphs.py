"""Filter-graph composer: the argv of ffmpeg; the one file here that knows ffmpeg-python."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ffmpeg

from secondunit.handlers.tools.media.colours import scaled, to_sdr
from secondunit.handlers.tools.media.ffmpeg import MEDIA_FORMATS, Media
from secondunit.handlers.tools.media.probe import Video
from secondunit.queue.value import Value

LARGEST_PICTURE = 8192 * 8192
LONGEST_SECONDS = 24 * 3600
INPUT = {
    "protocol_whitelist": "file",
    "format_whitelist": MEDIA_FORMATS,
    "max_pixels": LARGEST_PICTURE,
    "t": LONGEST_SECONDS,
}
TOLD_EXACT = 0.001  # a time that was told in milliseconds means the picture that it was told of
EXACT = "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
PICTURES = {"c:v": "ppm", "format": "image2"}
# How much of a damaged file is worth having is judged by its duration afterwards, not by the count of bad packets.
COMMON = ("-hide_banner", "-nostdin", "-v", "warning", "-max_error_rate", "1")


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture to take: what is on the screen `at` seconds from the start, or the very first frame when None."""

    at: float | None
    width: int
    height: int


class Approach(Value, frozen=True):
    """How a moment is reached: decoded from `start` on (from the beginning if None), looked at from `near` on.

    The first picture decoded is always looked at, and of what comes before `near` no other. `keys`: key frames only.
    """

    start: float | None = None
    near: float = 0.0
    keys: bool = False


class Series(Value, frozen=True):
    """Several moments, in order: decoded from `start` on, looked at in the last `before` seconds up to each.

    The first picture is always looked at; where the series is `keyed`, the first key frame, and nothing before it.
    """

    shots: Sequence[Shot]
    before: float
    start: float | None
    keyed: bool


def frame_argv(
    media: Media, url: str, video: Video, shot: Shot, approach: Approach, output: str, *, joined: bool = False
) -> list[str]:
    """Decode up to a moment, and write the last picture as a PPM file; stdout tells of each that was looked at.

    Told are its time since the file's start in microseconds, and how dark it is (signalstats). The times are the file's
    own, whatever the seek did (`copyts`); only where its clock jumps (`joined`) ffmpeg counts on, from the beginning.
    """
    options: dict[str, Any] = {} if joined else {"copyts": None, "start_at_zero": None}
    if approach.start is not None:
        options |= {"noaccurate_seek": None, "ss": f"{approach.start:.3f}"}
    if approach.keys:
        options |= {"skip_frame": "nokey"}
    picture = ffmpeg.input(url, **INPUT, **options)[str(video.index)]
    if shot.at is None:
        picture = picture.filter("select", "key" if video.grey_before_key else "eq(n,0)")
    else:
        picture = picture.filter("trim", end=f"{shot.at + TOLD_EXACT:.3f}")
        picture = picture.filter("select", f"if(isnan(prev_selected_t),{_first(video)},gte(t,{approach.near:.3f}))")
    looked_at = _looked_at(media, picture, video, shot.width, shot.height)
    written = {**PICTURES, "fps_mode": "passthrough", "update": 1} | ({"frames:v": 1} if shot.at is None else {})
    return compile_argv(media, ffmpeg.output(looked_at, output, **written), ())


def series_argv(media: Media, url: str, video: Video, series: Series, output: str) -> list[str]:
    """The same for several moments in one go: numbered pictures, the first and those near before each moment."""
    options: dict[str, Any] = {"copyts": None, "start_at_zero": None}
    if series.start is not None:
        options |= {"noaccurate_seek": None, "ss": f"{series.start:.3f}"}
    picture = ffmpeg.input(url, **INPUT, **options)[str(video.index)]
    ends = [shot.at + TOLD_EXACT for shot in series.shots if shot.at is not None]
    picture = picture.filter("trim", end=f"{ends[-1]:.3f}")
    windows = "+".join(f"between(t,{end - series.before:.3f},{end:.3f})" for end in ends)
    first = "key" if series.keyed else _first(video)
    picture = picture.filter("select", f"if(isnan(prev_selected_t),{first},{windows})")
    looked_at = _looked_at(media, picture, video, series.shots[0].width, series.shots[0].height)
    return compile_argv(media, ffmpeg.output(looked_at, output, **PICTURES, fps_mode="passthrough"), ())


def reading_argv(media: Media, url: str, video: Video) -> list[str]:
    """Read the packets of the pictures, without decoding them; -progress tells how long they last."""
    output = ffmpeg.output(ffmpeg.input(url, **INPUT)[str(video.index)], "-", c="copy", format="null")
    return compile_argv(media, output, ("-nostats", "-progress", "pipe:1"))


def units_argv(media: Media, url: str, index: int) -> list[str]:
    """Tell of an H.264 track's IDR pictures, its parameter sets and all its slices, undecoded, a line for each."""
    track = ffmpeg.input(url, **INPUT)[str(index)]
    only = "h264_mp4toannexb,filter_units=pass_types="
    filters = {f"bsf:{i}": f"{only}{kinds}" for i, kinds in enumerate(("5", "7-8", "1-5"))}
    return compile_argv(media, ffmpeg.output(track, track, track, "pipe:1", c="copy", format="framecrc", **filters), ())


def key_frames_argv(
    media: Media, url: str, video: Video, size: tuple[int, int], every: float, most: int, output: str
) -> list[str]:
    """Take at most so many key frames, at least `every` seconds apart, numbered by the %d of `output`."""
    picture = ffmpeg.input(url, **INPUT, skip_frame="nokey")[str(video.index)]
    apart = f"isnan(prev_selected_t)+gte(t-prev_selected_t,{every:.3f})"
    looked_at = _looked_at(media, picture.filter("select", apart), video, *size)
    return compile_argv(
        media, ffmpeg.output(looked_at, output, **PICTURES, **{"fps_mode": "passthrough", "frames:v": most}), ()
    )


def _first(video: Video) -> str:
    """Whether a picture may be the first, as an expression."""
    return "key" if video.grey_before_key else "1"


def _looked_at(media: Media, picture: Any, video: Video, width: int, height: int) -> Any:
    # Statistics are read in limited range: black is 16 there, whatever the source's range was.
    picture = scaled(upright(media, picture, video), video, width, height, "yuv444p", flags=EXACT)
    picture = picture.filter("signalstats").filter("settb", "AVTB").filter("metadata", mode="print", file="-")
    return picture.filter("scale", flags=EXACT).filter("format", "rgb24")


def upright(media: Media, picture: Any, video: Video) -> Any:
    """The pictures as a viewer sees them: progressive, and in the range of an ordinary screen."""
    if video.interlaced:
        picture = picture.filter("yadif")
    return to_sdr(media, picture, video)


def compile_argv(media: Media, output: Any, extra: Sequence[str]) -> list[str]:
    """The whole command."""
    arguments: list[str] = ffmpeg.compile(output, cmd=[media.ffmpeg, *COMMON, *extra], overwrite_output=True)
    return arguments
