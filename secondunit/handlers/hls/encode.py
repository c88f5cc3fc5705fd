"""HLS encoder: the one ffmpeg command that makes the whole ladder."""

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
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.media.graphs import INPUT, compile_argv, upright

SEGMENT_SUFFIX = {"fmp4": "m4s", "ts": "ts"}
MUXER_NAME = {"fmp4": "fmp4", "ts": "mpegts"}
SAMPLE_RATE = 48000
AAC_PRIMING = 1024  # samples that ffmpeg's encoder puts before the first one


def hls_argv(media: Media, url: str, plan: HlsPlan) -> list[str]:
    """One ffmpeg that decodes once and writes every playlist beneath its working folder."""
    source = ffmpeg.input(url, **INPUT)
    picture = upright(media, source[str(plan.video.index)], plan.video)
    if plan.rate.convert:
        picture = picture.filter("fps", fps=_fraction(plan.rate.value))
    streams = _rungs(picture, plan)
    if plan.audio:
        sound = source[str(plan.audio.index)]
        # "async" is a word of Python's.
        placed = sound.filter("aresample", SAMPLE_RATE, **{"async": 1, "first_pts": 0})
        # The priming takes the place of as many samples, or it would begin before zero: that takes an edit list.
        streams.append(placed.filter("atrim", start_sample=AAC_PRIMING))
    output = ffmpeg.output(*streams, f"%v/{PLAYLIST}", **_hls_options(plan))
    return compile_argv(media, output, ("-nostats", "-progress", "pipe:1"))


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
        # Pictures that are decoded before their time come late: where no edit list is read (hls.js), where the first
        # decode time is laid to the start of the sound (Shaka, TS), where negative offsets are taken back (ffmpeg).
        "bf": 0,
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
        sound = {"c:a": "aac", "profile:a": "aac_low", "b:a": f"{AUDIO_KBITS}k", "ac": 2, "ar": SAMPLE_RATE}
        options |= sound
    return options


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
