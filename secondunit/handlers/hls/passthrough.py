"""Passthrough (stream copy): whether a rung of the ladder needs no encode, because the source is it already; pure.

Only what is certain is copied: the same picture, in a form that every player takes, cut where each segment can begin.
Whatever is doubtful is encoded; a doubt is a sentence for the job's log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

from secondunit.handlers.hls.plan import AUDIO_NAME, SEGMENT_SECONDS, HlsPlan, Passthrough
from secondunit.handlers.tools.media.colours import HD, UNKNOWN
from secondunit.handlers.tools.media.packets import Closely, Pace, Packets, Units
from secondunit.handlers.tools.media.probe import Audio, Video

Copy = Literal["auto", "never"]
UNWISHED, IS_IT = 'copy is "never"', "the source is that already"
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
        return Passthrough(doubt=UNWISHED, sound_doubt=UNWISHED)
    doubt = headline_doubt(todo) or picture_doubt(todo, packets, start)
    pace = packets.paces.get(todo.video.index)
    begin = 0.0 if doubt or pace is None else max(0.0, (pace.first or 0.0) - start)
    doubted = sound_doubt(todo.audio, packets, start, begin) if todo.audio else ""
    sound = todo.audio is not None and not doubted
    if doubt or pace is None:
        return Passthrough(sound=sound, doubt=doubt, sound_doubt=doubted)
    return Passthrough(True, sound, begin, pace.reordered, sound_doubt=doubted)


def nothing_copied(why: str) -> Passthrough:
    """All is encoded, for this reason."""
    return Passthrough(doubt=why, sound_doubt=why)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a rendition is copied, and why so: a sentence."""

    copied: bool
    reason: str

    def __str__(self) -> str:
        return f"{'copied' if self.copied else 'encoded'} ({self.reason})"


def decisions(todo: HlsPlan) -> Mapping[str, Decision]:
    """What is done to each rendition, the sound's too, by its name."""
    copied = todo.copied
    native, *others = todo.renditions
    said = {native.name: Decision(copied.picture, copied.doubt or IS_IT)}
    said |= {rung.name: Decision(False, "the source is larger") for rung in others}
    return said | ({AUDIO_NAME: Decision(copied.sound, copied.sound_doubt or IS_IT)} if todo.audio else {})


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


def sound_doubt(audio: Audio, packets: Packets, start: float, begin: float) -> str:
    """Why the sound is not copied beside a picture that begins then, or ""."""
    if not _fits(audio):
        return f"{audio.codec} with {audio.channels} channels at {audio.rate} Hz is not AAC-LC in stereo"
    pace, track = packets.paces.get(audio.index), packets.tracks.get(audio.index)
    if track is None or pace is None or pace.first is None:
        return "its packets can't be read to their end"
    frame = AAC_FRAME / audio.rate
    first = pace.first - start
    skipped = max(0, ceil((keep_from(begin) - first) / frame))
    doubts = (
        (packets.cut_off, "the file breaks off"),
        (pace.odd > 0, "some of its packets have no time, or other parameters"),
        (abs(first + skipped * frame - begin) >= TOGETHER, "none of its frames begins where the picture does"),
        (not _steady(pace, track.packets, frame), "it has gaps"),
    )
    return next((sentence for doubtful, sentence in doubts if doubtful), "")


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
