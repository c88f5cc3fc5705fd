"""Passthrough (stream copy): whether a rung of the ladder needs no encode, because the source is it already; pure.

Only what is certain is copied: the same picture, in a form that every player takes, cut where each segment can begin.
Whatever is doubtful is encoded; a doubt is a sentence for the job's log.
"""

from math import ceil
from typing import Literal

from secondunit.handlers.hls.plan import SEGMENT_SECONDS, HlsPlan, Passthrough
from secondunit.handlers.tools.media.colours import HD, UNKNOWN
from secondunit.handlers.tools.media.packets import Closely, Pace, Packets, Units
from secondunit.handlers.tools.media.probe import Audio, Video

Copy = Literal["auto", "never"]
PROFILES = ("Constrained Baseline", "Main", "High")
HIGHEST_LEVEL = 52  # 5.2, which browsers and televisions decode
AAC_FRAME, AAC_RATES = 1024, (44100, 48000)  # samples; samples a second
LATEST = 0.2  # seconds that the picture may begin behind the file; the sound before that is lost
TOGETHER, STEADY, ROUNDED = 0.012, 0.005, 0.002  # seconds: half a frame of AAC; its jitter; rounding of a container


def closely(todo: HlsPlan, copy: Copy) -> Closely:
    """Whose packets must be looked at closely before anything is copied."""
    if copy == "never":
        return Closely()
    picture = None if headline_doubt(todo) else todo.video.index
    sound = todo.audio.index if todo.audio and _fits(todo.audio) else None
    return Closely(tuple(index for index in (picture, sound) if index is not None), picture, SEGMENT_SECONDS)


def passthrough(todo: HlsPlan, copy: Copy, packets: Packets, start: float) -> Passthrough:
    """What is copied of a source with these packets, whose clock begins at `start`."""
    if copy == "never":
        return Passthrough(doubt="that is wished")
    doubt = headline_doubt(todo) or picture_doubt(todo, packets, start)
    if doubt:
        return Passthrough(sound=sound_is_kept(todo.audio, packets, start, 0.0), doubt=doubt)
    pace = packets.paces[todo.video.index]
    begin = max(0.0, (pace.first or 0.0) - start)
    return Passthrough(True, sound_is_kept(todo.audio, packets, start, begin), begin, pace.reordered)


def headline_doubt(todo: HlsPlan) -> str:
    """Why headers alone speak against copying the picture into the first rung, or ""."""
    video, native = todo.video, todo.renditions[0]
    doubts = (
        (video.codec != "h264" or video.pix_fmt != "yuv420p", f"{video.codec} {video.pix_fmt} is not H.264 4:2:0"),
        (video.profile not in PROFILES or not 0 < video.level <= HIGHEST_LEVEL, "its profile or level is unusual"),
        (not video.progressive, "it may be interlaced"),
        ((video.width, video.height) != (native.width, native.height), "it has another size than the rung"),
        (video.aspect != 1 or video.rotation != 0, "its pixels are not square, or it is turned"),
        (todo.rate.convert, "its frame rate varies, or is an uncommon one"),
        (video.hdr or video.range == "pc" or not _like_709(video), "its colours are not those of BT.709"),
    )
    return next((sentence for doubtful, sentence in doubts if doubtful), "")


def picture_doubt(todo: HlsPlan, packets: Packets, start: float) -> str:
    """Why the packets speak against it, or ""."""
    pace, units = packets.paces.get(todo.video.index), packets.units
    track = packets.tracks.get(todo.video.index)
    if pace is None or pace.first is None or track is None or pace.least_step is None:
        return "its packets can't be read to their end"
    frame = float(1 / todo.rate.value)
    late = pace.first - start
    doubts = (
        (packets.cut_off, "the file breaks off"),
        (pace.left_out > 0, "an edit list leaves some of it out"),
        (pace.odd > 0, "some of its packets have no time, or other parameters"),
        (not pace.key_first, "it does not begin with a key frame"),
        (pace.largest_group > SEGMENT_SECONDS, f"{pace.largest_group:.1f} s lie between key frames"),
        (not -ROUNDED <= late <= LATEST, "it begins after the sound"),
        (pace.peak > 1000 * todo.renditions[0].maxrate, f"it takes up to {pace.peak / 1000:.0f} kbit/s"),
        (pace.largest_step > 1.5 * frame or pace.least_step < 0.5 * frame, "its pictures come unevenly"),
        (todo.segment_type == "ts" and pace.reordered, "it has B-frames, which come late in transport streams"),
    )
    return next((sentence for doubtful, sentence in doubts if doubtful), "") or _unit_doubt(units, track.packets)


def _unit_doubt(units: Units | None, packets: int) -> str:
    if units is None or units.pictures != packets:
        return "some of its packets are damaged"
    if not units.keys_are_idr:
        return "a key frame of it does not stand alone (open GOP)"
    return "" if units.parameter_sets == 1 else "its parameters change"


def sound_is_kept(audio: Audio | None, packets: Packets, start: float, begin: float) -> bool:
    """Whether the sound is copied: AAC-LC in stereo, without a gap, one of its frames where the picture begins."""
    pace, track = (packets.paces.get(audio.index), packets.tracks.get(audio.index)) if audio else (None, None)
    if audio is None or track is None or pace is None or pace.first is None or not _fits(audio):
        return False
    frame = AAC_FRAME / audio.rate
    first = pace.first - start
    skipped = max(0, ceil((keep_from(begin) - first) / frame))
    together = abs(first + skipped * frame - begin) < TOGETHER
    return not packets.cut_off and pace.odd == 0 and together and _steady(pace, track.packets, frame)


def keep_from(begin: float) -> float:
    """From when on packets of the sound are kept beside a picture that begins then."""
    return max(0.0, begin - ROUNDED)


def untagged(video: Video) -> bool:
    """Whether the picture does not say itself what its colours are."""
    return {video.matrix, video.transfer, video.primaries} != {"bt709"} or video.range != "tv"


def _fits(audio: Audio) -> bool:
    return (audio.codec, audio.profile, audio.channels) == ("aac", "LC", 2) and audio.rate in AAC_RATES


def _steady(pace: Pace, packets: int, frame: float) -> bool:
    if pace.first is None or pace.last is None or pace.least_step is None:
        return False
    drift = abs(pace.last - pace.first - (packets - 1) * frame)
    return max(pace.largest_step - frame, frame - pace.least_step) < STEADY and drift < 2 * TOGETHER


def _like_709(video: Video) -> bool:
    tags = {video.matrix, video.transfer, video.primaries} - set(UNKNOWN)
    return (video.matrix == "bt709" and tags == {"bt709"}) or (not tags and video.height >= HD)
