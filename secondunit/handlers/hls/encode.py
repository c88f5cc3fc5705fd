"""HLS encoder: the ffmpeg command that makes the ladder, and the one behind its pipe that lays the sound in place.

What the plan says is copied needs neither an encoder nor, for the sound, the second one.

Where the sound's format changes within a file, ffmpeg builds its filters anew, and what they have done is forgotten: a
filter that fills up from zero does so twice. So the first ffmpeg brings the sound to one format, with its timestamps,
and the second, which sees no change, fills the gaps and encodes.
"""

from fractions import Fraction
from typing import Any

import ffmpeg

from secondunit.handlers.hls.passthrough import keep_from, untagged
from secondunit.handlers.hls.plan import (
    AUDIO_KBITS,
    AUDIO_NAME,
    DENSEST,
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
CLOCK = 90_000  # of a second; holds the times of all containers that we know
ENDLESS = 100_000  # pictures between key frames
BT709 = ("colour_primaries", "transfer_characteristics", "matrix_coefficients")
TAGGING = "h264_metadata=" + ":".join([*(f"{tag}=1" for tag in BT709), "video_full_range_flag=0"])
AAC_PRIMING = 1024  # samples that ffmpeg's encoder puts before the first one
OUT_OF_PLACE = 0.03  # seconds; timestamps that are rounded or guessed jitter by 6 ms in the containers we know
# ffmpeg 5.1 gives the last frame before a change of the sample rate a timestamp in units of the next one: it may lie
# far ahead, and all that follows would be put behind it. Codecs with longer frames change no rate. Where the channels
# change as well it is the first that a new graph sees, so the first is taken at the film's beginning only.
IN_ORDER = r"aselect=if(isnan(prev_t)\,lt(t\,1)\,lt(t-prev_t\,0.25))+gte(samples_n\,sample_rate/10)"
# What a decoder gives nothing of for so long goes to stderr, where it begins and ends: the last picture would stand, or
# silence fill it, and nobody be told. So does the first of each graph, as if from -1 on. The sound's moments are told
# so much later.
UNDECODED, SOUND_LATER = 2, 1_000_000_000
TELL_GAPS = (
    f"if(isnan(prev_t)+gt(t-prev_t,{UNDECODED}),1+0*print(if(isnan(prev_t),-1,prev_t)+{{0}},24)+0*print(t+{{0}},24),1)"
)
FROM_KEY = f"if(isnan(prev_selected_t)*not(key),0,{TELL_GAPS.replace('prev_t', 'prev_selected_t')})"
HEARD = "aselect=" + TELL_GAPS.format(SOUND_LATER).replace(",", r"\,")
ONE_FORMAT = f"{IN_ORDER},{HEARD},aresample={SAMPLE_RATE},aformat=sample_fmts=s16:channel_layouts=stereo"


def hls_argv(media: Media, url: str, plan: HlsPlan, sound_to: int | None) -> list[str]:
    """Decode at most once, write every video playlist beneath the working folder, and the sound to a descriptor."""
    source = ffmpeg.input(url, **INPUT)
    picture = source[str(plan.video.index)]
    streams = [picture] if plan.copied.picture else []
    if plan.encoded:
        decoded = picture.filter("select", (FROM_KEY if plan.from_key else TELL_GAPS).format(0))
        streams += _rungs(_steady(upright(media, decoded, plan.video), plan), plan)
    outputs = [ffmpeg.output(*streams, f"%v/{PLAYLIST}", **_video_options(plan))]
    if plan.audio and plan.copied.sound:
        outputs += _copied_sound(source[str(plan.audio.index)], plan)
    elif plan.audio and sound_to is not None:
        # A filter graph of its own: that of the pictures is not built anew with it.
        options = {"af": ONE_FORMAT, "c:a": "pcm_s16le", "format": "nut"}
        outputs.append(ffmpeg.output(source[str(plan.audio.index)], f"pipe:{sound_to}", **options))
    return compile_argv(media, ffmpeg.merge_outputs(*outputs), FIGURES)


def sound_argv(media: Media, sound_from: int, plan: HlsPlan) -> list[str]:
    """The ffmpeg that writes the playlist of the sound: from the film's beginning on, silent where there is none."""
    # copyts: a sound that begins late is not moved to the beginning; only one beside a copied picture is moved with it.
    options = {"protocol_whitelist": "pipe", "format_whitelist": "nut", "copyts": None}
    options |= {"itsoffset": f"-{plan.copied.begin:.6f}"} if plan.copied.begin else {}
    source = ffmpeg.input(f"pipe:{sound_from}", **options)
    # "async" is a word of Python's.
    placed = source["0"].filter("aresample", **{"async": 1, "min_hard_comp": OUT_OF_PLACE, "first_pts": 0})
    # The priming takes the place of as many samples, or it would begin before zero: that takes an edit list.
    placed = placed.filter("atrim", start_sample=AAC_PRIMING)
    encoder = {"c:a": "aac", "profile:a": "aac_low", "b:a": f"{AUDIO_KBITS}k", "ac": 2, "ar": SAMPLE_RATE}
    encoder |= _hls_options(plan, f"a:0,name:{AUDIO_NAME}")
    return compile_argv(media, ffmpeg.output(placed, f"%v/{PLAYLIST}", **encoder), FIGURES)


def _copied_sound(sound: Any, plan: HlsPlan) -> list[Any]:
    """Its packets from the picture's beginning on; it is decoded beside that, so that damage is told of."""
    options: dict[str, Any] = {"c:a": "copy", "copypriorss:a": 0, **_hls_options(plan, f"a:0,name:{AUDIO_NAME}")}
    if begin := keep_from(plan.copied.begin):
        options["ss"] = f"{begin:.6f}"
    if plan.segment_type == "fmp4":
        options["bsf:a"] = "aac_adtstoasc"
    heard = ffmpeg.output(sound, "-", **{"c:a": "pcm_s16le", "format": "null"})
    return [ffmpeg.output(sound, f"%v/{PLAYLIST}", **options), heard]


def _steady(picture: Any, plan: HlsPlan) -> Any:
    # A steady one, too: where files were joined pictures may overlap, and without this all that follow come late.
    return picture if plan.copied.picture else picture.filter("fps", fps=_fraction(plan.rate.value))


def _rungs(picture: Any, plan: HlsPlan) -> list[Any]:
    """Each rung's pictures, scaled from those of the next larger one, a quarter cheaper than from the source."""
    rungs: list[Any] = []
    for rung in plan.encoded:
        if not rungs:
            picture = scaled(picture, plan.video, rung.width, rung.height, "yuv420p")
        else:
            split = rungs.pop().filter_multi_output("split", 2)
            rungs.append(split[0])
            picture = split[1].filter("scale", rung.width, rung.height).filter("setsar", 1)
        rungs.append(picture)
    return rungs


def _video_options(plan: HlsPlan) -> dict[str, Any]:
    options = _hls_options(plan, variant_map(plan))
    if plan.segment_type == "fmp4":
        options["hls_segment_options"] = _fragments(plan)
    if plan.copied.picture:
        options |= _copy_options(plan)
    if plan.encoded:
        options |= _encoder_options(plan)
    return options


def _encoder_options(plan: HlsPlan) -> dict[str, Any]:
    options: dict[str, Any] = {
        "preset": "veryfast",
        "crf": 23,
        # Pictures that are decoded before their time come late: where no edit list is read (hls.js), where the first
        # decode time is laid to the start of the sound (Shaka, TS), where negative offsets are taken back (ffmpeg).
        "bf": 0,
        "sc_threshold": 0,
    }
    first = len(plan.renditions) - len(plan.encoded)
    for i, rung in enumerate(plan.encoded, first):
        options |= {f"maxrate:v:{i}": f"{rung.maxrate}k", f"bufsize:v:{i}": f"{2 * rung.maxrate}k"}
        if first:
            options |= {f"c:v:{i}": "libx264", f"profile:v:{i}": "high"}
            options |= {f"fps_mode:v:{i}": "passthrough", f"enc_time_base:v:{i}": f"1:{CLOCK}"}
    if first:
        # Key frames where the copied picture has them, and nowhere else; and its pictures' own times.
        options |= {"force_key_frames": "source", "g": ENDLESS}
    else:
        options |= {"c:v": "libx264", "profile:v": "high"}
        options |= {"force_key_frames": f"expr:gte(t,n_forced*{KEYFRAME_SECONDS})"}
    return options | {**TAGS, "color_range": "tv"}


def _copy_options(plan: HlsPlan) -> dict[str, Any]:
    options: dict[str, Any] = {"c:v:0": "copy"}
    if plan.copied.begin:
        options["output_ts_offset"] = f"-{plan.copied.begin:.6f}"
    if untagged(plan.video):
        options["bsf:v:0"] = TAGGING
    return options


def _fragments(plan: HlsPlan) -> str:
    """A fragment for each key frame, which can be read alone then."""
    often = f"min_frag_duration={1_000_000 * DENSEST}"
    if plan.copied.picture and plan.copied.reordered:
        # Players take negative offsets as they are; an edit list they don't read.
        return f"movflags=+frag_keyframe+negative_cts_offsets:use_editlist=0:{often}"
    return f"movflags=+frag_keyframe:{often}"


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
