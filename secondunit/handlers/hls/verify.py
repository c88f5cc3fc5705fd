"""Verification of a finished encode before it is published, by what it holds: an exit code of 0 proves nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from secondunit.handlers.hls.encode import UNDECODED
from secondunit.handlers.hls.pipeline import Encoded, Gap
from secondunit.handlers.hls.plan import HlsPlan
from secondunit.handlers.hls.playlists import Playlist, Unfinished
from secondunit.handlers.hls.segments import Span
from secondunit.handlers.tools.media.packets import UNDECLARED, Packets, TrackPackets
from secondunit.handlers.tools.media.probe import MediaInfo
from secondunit.queue.outcome import Deterministic, Transient

SHORTER_SECONDS, SHORTER_SHARE = 1.0, 0.05
LONGER_SECONDS, LONGER_FACTOR = 10.0, 1.5
LONGER_GAP, MOST_TOLD = 1.0, 3  # seconds; holes in one message
EARLIER = 60.0  # seconds; packets of one PES packet count on from its time, but not for so long
# Beside a copied rung: Matroska's times are whole milliseconds, and how long its last picture stays nobody says.
SAME_SECONDS, SAME_END_SECONDS = 0.002, 0.05


class SpoiledCopy(Exception):
    """What was copied of the source does not do; it may be encoded instead."""


@dataclass(frozen=True, slots=True)
class Material:
    """What an encode is judged by: what the source declares and holds, what was wanted, what the programs counted."""

    info: MediaInfo
    packets: Packets
    plan: HlsPlan
    encoded: Encoded
    attempt: int = 1

    @property
    def played(self) -> float:
        """Seconds that the tracks that are wanted last in the source."""
        return self.packets.until(track.index for track in (self.plan.video, self.plan.audio) if track)


def cut_alike(name: str, plan: HlsPlan, videos: Sequence[Playlist]) -> None:
    """Raise where the renditions are cut at different times: SpoiledCopy beside a copied one."""
    first, *others = ([segment.duration for segment in video.segments] for video in videos)
    within = [SAME_SECONDS] * (len(first) - 1) + [SAME_END_SECONDS] if plan.copied.picture else [0.0] * len(first)
    for cuts in others:
        apart = [abs(one - other) for one, other in zip(cuts, first, strict=False)]
        if len(cuts) != len(first) or any(one > most for one, most in zip(apart, within, strict=True)):
            message = f"the renditions of {name} are cut at different times"
            raise SpoiledCopy(message) if plan.copied.picture else Transient(message, type="uneven_segments")


def verify(name: str, material: Material, pictures: Sequence[Span], sound: Span | None) -> list[str]:
    """Warnings about an encode that may be published; raises for one that may not."""
    plan, packets = material.plan, material.packets
    warnings = _declared(name, material)
    what = f"the video track of {name}"
    for made in pictures:
        _refuse_short(what, packets, plan.video.index, made)
    _refuse_unread(what, packets, plan.video.index)
    warnings += _holes(what, packets.tracks.get(plan.video.index), material.encoded.blank, packets.first)
    if plan.audio and sound:
        what = f"the sound track of {name}"
        _refuse_short(what, packets, plan.audio.index, sound)
        _refuse_unread(what, packets, plan.audio.index)
        warnings += _holes(what, packets.tracks.get(plan.audio.index), material.encoded.silent, packets.first)
    _refuse_continued(name, material)
    return warnings + _pauses(name, packets)


def unfinished(name: str, material: Material, error: Unfinished) -> Transient | Deterministic:
    """What to raise where ffmpeg was content with the pictures it wrote, and they are not all there.

    Its HLS muxer says nothing of a disk that is full, be it for a moment.
    """
    if error.nothing and material.encoded.frames == 0:
        return Deterministic(f"nothing in {name} could be decoded: {error}", type="unreadable")
    return Transient(f"the encode of {name} is incomplete, as on a full disk: {error}", type="disk_full")


def unfinished_sound(name: str, material: Material, error: Unfinished) -> Transient | Deterministic:
    """The same for the sound, where the count proves nothing the first time: it is the muxer's."""
    if error.nothing and material.encoded.sound == 0 and material.attempt > 1:
        return _truncated(f"the sound track of {name} has packets, but none of them could be decoded")
    return Transient(f"the sound of {name} is incomplete, as on a full disk: {error}", type="disk_full")


def _declared(name: str, material: Material) -> list[str]:
    """What the declared duration is worth: a hint, which the file's own end must bear out."""
    info, packets = material.info, material.packets
    declared, held, played = info.duration, packets.duration, material.played
    if declared is None or info.estimated or info.format in UNDECLARED:
        return []
    if declared - held > max(SHORTER_SECONDS, SHORTER_SHARE * declared):
        if packets.cut_off:
            raise _truncated(f"{name} declares {declared:.1f} s, but breaks off after {held:.1f} s")
        return [f"duration_short: {name} declares {declared:.1f} s and holds {held:.1f} s"]
    # Not what else it holds: since 7.1 ffmpeg declares no longer film for a subtitle that outlasts it.
    if played > LONGER_FACTOR * declared + LONGER_SECONDS:
        return [f"duration_overrun: {name} declares {declared:.1f} s and holds {played:.1f} s"]
    return []


def _refuse_short(what: str, packets: Packets, index: int, made: Span) -> None:
    track = packets.tracks.get(index)
    if track is None:
        return
    held, decoded = track.last - packets.first, made.last - made.first
    if held - decoded > max(SHORTER_SECONDS, SHORTER_SHARE * (track.last - track.first)):
        raise _truncated(f"{what} has packets up to {held:.1f} s, but could be decoded up to {decoded:.1f} s only")


def _refuse_unread(what: str, packets: Packets, index: int) -> None:
    """Raise where a transport stream has more of a track than its demuxer knew to read."""
    track = packets.tracks.get(index)
    if track is None:
        return
    if track.unread > max(SHORTER_SECONDS, SHORTER_SHARE * (track.last - track.first)) or track.unread < -EARLIER:
        raise _truncated(f"{what} goes on after {track.last - packets.first:.1f} s in what can't be read as its codec")


def _refuse_continued(name: str, material: Material) -> None:
    """Raise where a recording goes on in another track, as those do that were joined and number their tracks anew."""
    if material.info.format not in UNDECLARED:
        return
    tracks, plan = material.packets.tracks, material.plan
    wanted = [(kind, track.index) for kind, track in (("video", plan.video), ("sound", plan.audio)) if track]
    others = [track for index, track in tracks.items() if index not in [index for _, index in wanted]]
    for kind, index in wanted:
        last = tracks[index].last if index in tracks else float("inf")
        if any(last - SHORTER_SECONDS < other.first < other.last - SHORTER_SECONDS for other in others):
            ends = last - material.packets.first
            raise _truncated(f"the {kind} track of {name} ends at {ends:.1f} s, where another one begins")


def _holes(what: str, track: TrackPackets | None, gaps: Sequence[Gap], start: float) -> list[str]:
    """Warnings of where a track has packets, and nothing of them could be decoded; raises where that is much of it.

    The file's clock begins at `start`.
    """
    if track is None:
        return []
    blank = next((end for begin, end in gaps if begin < 0), 0.0)
    # A recording that begins between key frames is no damaged one: its hole begins with the first of them.
    keyed = [] if track.key is None else [(max(0.0, track.key - start), blank)]
    holes = [(begin, end) for begin, end in [*keyed, *gaps] if 0 <= begin < end - track.gap - LONGER_GAP]
    where = ", ".join(f"from {begin:.1f} to {end:.1f} s" for begin, end in holes[:MOST_TOLD])
    if sum(end - begin for begin, end in holes) > SHORTER_SHARE * (track.last - track.first):
        raise _truncated(f"{what} has packets, but could not be decoded {where}")
    warnings = [f"undecodable: {what} could not be decoded {where}"] if holes else []
    before = blank - max(0.0, track.first - start)
    if before > UNDECODED and not (holes and holes[0] in keyed):
        warnings.append(f"undecodable: {what} could not be decoded in its first {before:.1f} s")
    if track.back > LONGER_GAP:
        warnings.append(
            f"clock_back: the times of {what} go back by {track.back:.1f} s; what lies behind others is left out"
        )
    return warnings


def _pauses(name: str, packets: Packets) -> list[str]:
    where = ", ".join(
        f"from {begin - packets.first:.1f} to {end - packets.first:.1f} s" for begin, end in packets.pauses[:MOST_TOLD]
    )
    return [f"pause: {name} has neither picture nor sound {where}"] if where else []


def _truncated(message: str) -> Deterministic:
    return Deterministic(message, type="input_truncated")
