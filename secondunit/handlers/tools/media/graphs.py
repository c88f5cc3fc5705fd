"""Composes filter graphs and the argv of ffmpeg; the one file that knows ffmpeg-python."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ffmpeg

from secondunit.handlers.hls.plan import (
    AUDIO_KBITS,
    KEYFRAME_SECONDS,
    PLAYLIST,
    SEGMENT_SECONDS,
    HlsPlan,
    variant_map,
)
from secondunit.handlers.tools.media.ffmpeg import MEDIA_FORMATS, Media
from secondunit.handlers.tools.media.probe import Video
from secondunit.queue.outcome import Deterministic

SEGMENT_SUFFIX = {"fmp4": "m4s", "ts": "ts"}
MUXER_NAME = {"fmp4": "fmp4", "ts": "mpegts"}
LARGEST_PICTURE = 8192 * 8192
LONGEST_SECONDS = 24 * 3600
INPUT = {
    "protocol_whitelist": "file",
    "format_whitelist": MEDIA_FORMATS,
    "max_pixels": LARGEST_PICTURE,
    "t": LONGEST_SECONDS,
}
PICTURES = {"c:v": "ppm", "format": "image2"}
# How much of a damaged file is worth having is judged by its duration afterwards, not by the count of bad packets.
COMMON = ("-hide_banner", "-nostdin", "-v", "warning", "-max_error_rate", "1")


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture to take: `at` seconds from the start, or the very first frame when None."""

    at: float | None
    width: int
    height: int


def hls_argv(media: Media, url: str, plan: HlsPlan) -> list[str]:
    """One ffmpeg that decodes once and writes every playlist beneath its working folder."""
    source = ffmpeg.input(url, **INPUT)
    picture = _upright(media, source[str(plan.video.index)], plan.video)
    if plan.rate.convert:
        picture = picture.filter("fps", fps=_fraction(plan.rate.value))
    streams = _rungs(picture, plan)
    if plan.audio:
        sound = source[str(plan.audio.index)]
        # "async" is a word of Python's.
        streams.append(sound.filter("aresample", **{"async": 1, "first_pts": 0}))
    output = ffmpeg.output(*streams, f"%v/{PLAYLIST}", **_hls_options(plan))
    return _compile(media, output, ("-nostats", "-progress", "pipe:1"))


def frame_argv(media: Media, url: str, video: Video, shot: Shot, output: str) -> list[str]:
    """Take one picture as a PPM file, and print how dark it is (signalstats) to stdout."""
    seek = {} if shot.at is None else {"ss": f"{shot.at:.3f}"}
    picture = ffmpeg.input(url, **INPUT, **seek)[str(video.index)]
    if shot.at is None:
        picture = picture.filter("select", "eq(n,0)")
    looked_at = _looked_at(media, picture, video, shot.width, shot.height)
    return _compile(media, ffmpeg.output(looked_at, output, **PICTURES, **{"frames:v": 1, "update": 1}), ())


def key_frames_argv(
    media: Media, url: str, video: Video, size: tuple[int, int], every: float, output: str
) -> list[str]:
    """Take key frames that lie at least `every` seconds apart, numbered by the %d of `output`, as `frame_argv` does."""
    picture = ffmpeg.input(url, **INPUT, skip_frame="nokey")[str(video.index)]
    apart = f"isnan(prev_selected_t)+gte(t-prev_selected_t,{every:.3f})"
    looked_at = _looked_at(media, picture.filter("select", apart), video, *size)
    return _compile(media, ffmpeg.output(looked_at, output, **PICTURES, fps_mode="passthrough"), ())


def _looked_at(media: Media, picture: Any, video: Video, width: int, height: int) -> Any:
    picture = _upright(media, picture, video)
    # Statistics are read in limited range: black is 16 there, whatever the source's range was.
    picture = picture.filter("scale", width, height, flags="lanczos", out_range="tv", **_matrix(video))
    picture = picture.filter("setsar", 1).filter("format", "yuv444p")
    return picture.filter("signalstats").filter("metadata", mode="print", file="-").filter("format", "rgb24")


def _upright(media: Media, picture: Any, video: Video) -> Any:
    if video.interlaced:
        picture = picture.filter("yadif")
    return _to_sdr(media, picture, video) if video.hdr else picture


def _to_sdr(media: Media, picture: Any, video: Video) -> Any:
    if {"zscale", "tonemap"} <= media.filters:
        # Primaries and matrix are said for both sides: for a stream without them zscale finds no path.
        linear = {"tin": video.transfer, "pin": "2020", "min": "2020_ncl", "p": "2020", "m": "2020_ncl"}
        linear |= {"t": "linear", "npl": "100"}
        return (
            picture.filter("zscale", **linear)
            .filter("format", "gbrpf32le")
            .filter("zscale", p="709")
            .filter("tonemap", "hable", desat=0)
            .filter("zscale", t="709", m="709", r="tv")
        )
    if media.scale_tonemaps:
        target = {"out_primaries": "bt709", "out_transfer": "bt709", "out_color_matrix": "bt709"}
        return picture.filter("scale", **target, intent="perceptual")
    raise Deterministic(
        f"this is HDR video, and ffmpeg {media.version} here can't bring it to SDR; install one built with zimg,"
        " or version 7.1 or later",
        type="capability_missing",
    )


def _rungs(picture: Any, plan: HlsPlan) -> list[Any]:
    if len(plan.renditions) == 1:
        copies = [picture]
    else:
        split = picture.filter_multi_output("split", len(plan.renditions))
        copies = [split[i] for i in range(len(plan.renditions))]
    return [
        copy.filter("scale", rung.width, rung.height, out_range="tv").filter("setsar", 1).filter("format", "yuv420p")
        for copy, rung in zip(copies, plan.renditions, strict=True)
    ]


def _hls_options(plan: HlsPlan) -> dict[str, Any]:
    options: dict[str, Any] = {
        "c:v": "libx264",
        "preset": "veryfast",
        "profile:v": "high",
        "crf": 23,
        "sc_threshold": 0,
        "force_key_frames": f"expr:gte(t,n_forced*{KEYFRAME_SECONDS})",
        "map_metadata": -1,
        "map_chapters": -1,
        "max_muxing_queue_size": 4096,
        "format": "hls",
        "hls_time": SEGMENT_SECONDS,
        "hls_playlist_type": "vod",
        "hls_flags": "independent_segments",
        "hls_segment_type": MUXER_NAME[plan.segment_type],
        "hls_segment_filename": f"%v/%05d.{SEGMENT_SUFFIX[plan.segment_type]}",
        "var_stream_map": variant_map(plan),
        "sn": None,
        "dn": None,
    }
    for i, rung in enumerate(plan.renditions):
        options |= {f"maxrate:v:{i}": f"{rung.maxrate}k", f"bufsize:v:{i}": f"{2 * rung.maxrate}k"}
    if plan.video.hdr:
        options |= {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
    if plan.audio:
        sound = {"c:a": "aac", "profile:a": "aac_low", "b:a": f"{AUDIO_KBITS}k", "ac": 2, "ar": 48000}
        options |= sound
    return options


def _matrix(video: Video) -> dict[str, str]:
    # Untagged pictures of HD size are BT.709 in practice; swscale would take them for BT.601.
    untagged = video.matrix in ("", "unknown", "unspecified") and not video.hdr
    return {"in_color_matrix": "bt709"} if untagged and video.height >= 720 else {}


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _compile(media: Media, output: Any, extra: Sequence[str]) -> list[str]:
    arguments: list[str] = ffmpeg.compile(output, cmd=[media.ffmpeg, *COMMON, *extra], overwrite_output=True)
    return arguments
