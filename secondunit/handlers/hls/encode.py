"""HLS encoder: the ffmpeg command that makes the ladder, and the one behind its pipe that lays the sound in place.

Where the sound's format changes within a file, ffmpeg builds its filters anew, and what they have done is forgotten: a
filter that fills up from zero does so twice. So the first ffmpeg brings the sound to one format, with its timestamps,
and the second, which sees no change, fills the gaps and encodes.
"""

from fractions import Fraction
from typing import Any

import ffmpeg

from secondunit.handlers.hls.plan import (
    AUDIO_KBITS,
    AUDIO_NAME,
    KEYFRAME_SECONDS,
    PLAYLIST,
    SEGMENT_SECONDS,
    HlsPlan,
    variant_map,
)
from secondunit.handlers.tools.media.colours import TAGS, scaled
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.media.graphs import INPUT, compile_argv, upright

SEGMENT_SUFFIX = {"fmp4": "m4s", "ts": "ts"}
MUXER_NAME = {"fmp4": "fmp4", "ts": "mpegts"}
FIGURES = ("-nostats", "-progress", "pipe:1")
SAMPLE_RATE = 48000
AAC_PRIMING = 1024  # samples that ffmpeg's encoder puts before the first one
OUT_OF_PLACE = 0.03  # seconds; timestamps that are rounded or guessed jitter by 6 ms in the containers we know
# ffmpeg 5.1 gives the last frame before a change of the sample rate a timestamp in units of the next one: it may lie
# far ahead, and all that follows would be put behind it. Codecs with longer frames change no rate.
IN_ORDER = r"aselect=isnan(prev_t)+lt(t-prev_t\,0.25)+gte(samples_n\,sample_rate/10)"
ONE_FORMAT = f"{IN_ORDER},aresample={SAMPLE_RATE},aformat=sample_fmts=s16:channel_layouts=stereo"


def hls_argv(media: Media, url: str, plan: HlsPlan, sound_to: int | None) -> list[str]:
    """Decode once, write every video playlist beneath the working folder, and the sound to a descriptor."""
    source = ffmpeg.input(url, **INPUT)
    picture = upright(media, source[str(plan.video.index)], plan.video)
    if plan.rate.convert:
        picture = picture.filter("fps", fps=_fraction(plan.rate.value))
    outputs = [ffmpeg.output(*_rungs(picture, plan), f"%v/{PLAYLIST}", **_video_options(plan))]
    if plan.audio and sound_to is not None:
        # A filter graph of its own: that of the pictures is not built anew with it.
        options = {"af": ONE_FORMAT, "c:a": "pcm_s16le", "format": "nut"}
        outputs.append(ffmpeg.output(source[str(plan.audio.index)], f"pipe:{sound_to}", **options))
    return compile_argv(media, ffmpeg.merge_outputs(*outputs), FIGURES)


def sound_argv(media: Media, sound_from: int, plan: HlsPlan) -> list[str]:
    """The ffmpeg that writes the playlist of the sound: from the film's beginning on, silent where there is none."""
    # copyts: a sound that begins late is not moved to the beginning. "async" is a word of Python's.
    source = ffmpeg.input(f"pipe:{sound_from}", protocol_whitelist="pipe", format_whitelist="nut", copyts=None)
    placed = source["0"].filter("aresample", **{"async": 1, "min_hard_comp": OUT_OF_PLACE, "first_pts": 0})
    # The priming takes the place of as many samples, or it would begin before zero: that takes an edit list.
    placed = placed.filter("atrim", start_sample=AAC_PRIMING)
    options = {"c:a": "aac", "profile:a": "aac_low", "b:a": f"{AUDIO_KBITS}k", "ac": 2, "ar": SAMPLE_RATE}
    options |= _hls_options(plan, f"a:0,name:{AUDIO_NAME}")
    return compile_argv(media, ffmpeg.output(placed, f"%v/{PLAYLIST}", **options), FIGURES)


def _rungs(picture: Any, plan: HlsPlan) -> list[Any]:
    if len(plan.renditions) == 1:
        copies = [picture]
    else:
        split = picture.filter_multi_output("split", len(plan.renditions))
        copies = [split[i] for i in range(len(plan.renditions))]
    return [
        scaled(copy, plan.video, rung.width, rung.height, "yuv420p")
        for copy, rung in zip(copies, plan.renditions, strict=True)
    ]


def _video_options(plan: HlsPlan) -> dict[str, Any]:
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
    }
    options |= _hls_options(plan, variant_map(plan))
    for i, rung in enumerate(plan.renditions):
        options |= {f"maxrate:v:{i}": f"{rung.maxrate}k", f"bufsize:v:{i}": f"{2 * rung.maxrate}k"}
    return options | {**TAGS, "color_range": "tv"}


def _hls_options(plan: HlsPlan, variants: str) -> dict[str, Any]:
    return {
        "map_metadata": -1,
        "map_chapters": -1,
        "max_muxing_queue_size": 4096,
        "format": "hls",
        "hls_time": SEGMENT_SECONDS,
        "hls_playlist_type": "vod",
        "hls_flags": "independent_segments",
        "hls_segment_type": MUXER_NAME[plan.segment_type],
        "hls_segment_filename": f"%v/%05d.{SEGMENT_SUFFIX[plan.segment_type]}",
        "var_stream_map": variants,
        "sn": None,
        "dn": None,
    }


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
