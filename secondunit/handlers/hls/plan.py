"""Encoding ladder: sizes, rates and names of the renditions that a video gets; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

from secondunit.handlers.tools.media.probe import Audio, MediaInfo, Video
from secondunit.queue.value import Value

SegmentType = Literal["fmp4", "ts"]
PLAYLIST, IFRAMES = "index.m3u8", "iframes.m3u8"
SEGMENT_SECONDS, KEYFRAME_SECONDS = 6, 2
DENSEST = 1  # second between pictures for scrubbing, as Apple's authoring specification has it (6.5)
AUDIO_GROUP, AUDIO_NAME, AUDIO_KBITS = "aud", "audio", 128
NEAR_NATIVE = Fraction(9, 10)
MAXRATE_KBITS = {240: 400, 360: 800, 480: 1400, 720: 2800, 1080: 5000, 1440: 9000, 2160: 14000}
FAST = 31
CUSTOMARY = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)
UNKNOWN_RATE = Fraction(25)
SLOWEST = Fraction(2)  # Shaka never begins to play a transport stream of one picture a second
QUALITY = re.compile(r"[1-9]\d{2,3}p", re.ASCII)
VARIES, CLOSE = Fraction(2, 100), Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Rendition:
    """One rung of the ladder: its folder's name, its size in pixels, and the most kilobits a second it may use."""

    name: str
    width: int
    height: int
    maxrate: int


class Rate(Value, frozen=True):
    """Frames a second of the output; `convert` when the source does not come so by itself."""

    value: Fraction
    convert: bool


@dataclass(frozen=True, slots=True)
class Passthrough:
    """What of the source is copied: its picture into the first rung, its sound.

    `doubt` and `sound_doubt` say why they are not. The picture begins `begin` seconds after the file; `reordered`: it
    has B-frames.
    """

    picture: bool = False
    sound: bool = False
    begin: float = 0.0
    reordered: bool = False
    doubt: str = ""
    sound_doubt: str = ""

    @property
    def anything(self) -> bool:
        """Whether not all is encoded."""
        return self.picture or self.sound


@dataclass(frozen=True, slots=True)
class HlsPlan:
    """Everything that one encode is told; `from_key`: what is decoded before the first key frame is left out."""

    video: Video
    audio: Audio | None
    rate: Rate
    renditions: tuple[Rendition, ...]
    segment_type: SegmentType
    copied: Passthrough = Passthrough()
    from_key: bool = False

    @property
    def encoded(self) -> tuple[Rendition, ...]:
        """The renditions that are not copied."""
        return self.renditions[1:] if self.copied.picture else self.renditions


def quality_fault(quality: str) -> str | None:
    """What is wrong with the name of a quality, if anything is."""
    if QUALITY.fullmatch(quality):
        return None
    return f"{quality!r} is not a quality: write a height of three or four digits and a p, such as 720p"


def plan(info: MediaInfo, video: Video, qualities: Sequence[str], segment_type: SegmentType) -> HlsPlan:
    """The encode of `video` for these qualities ("720p")."""
    rate = frame_rate(video.average, video.nominal)
    rungs = [int(quality.removesuffix("p")) for quality in qualities]
    return HlsPlan(video, info.audio, rate, ladder(*video.display, rungs, rate.value), segment_type)


def ladder(width: Fraction, height: Fraction, rungs: Sequence[int], rate: Fraction) -> tuple[Rendition, ...]:
    """The renditions of a picture of this size, largest first.

    Rung N is a box of 16/9 N by N, turned with the picture; nothing is enlarged. The smallest box that holds the whole
    picture gives the native size; a box that would shrink it by less than a tenth adds nothing beside that.
    """
    wanted = sorted(set(rungs), reverse=True)
    fits = {rung: _fit(width, height, rung) for rung in wanted}
    native = min((rung for rung in wanted if fits[rung] == 1), default=None)
    chosen = [rung for rung in wanted if rung == native or fits[rung] < NEAR_NATIVE] if native else []
    # Without a native rung the largest one stands in for it, however near it is.
    chosen = chosen or wanted[:1] + [rung for rung in wanted[1:] if fits[rung] < NEAR_NATIVE]
    return tuple(_rendition(width, height, rung, fits[rung], rate) for rung in chosen)


def frame_rate(average: Fraction, nominal: Fraction) -> Rate:
    """The constant rate to encode at.

    A steady source keeps its rate, brought to the customary value next to it; one whose average and nominal rates
    differ by more than 2 % is variable and gets the customary rate nearest to its average. What is too fast or too slow
    for players is halved or doubled until it fits.
    """
    source = average or (nominal if 1 <= nominal <= 2 * CUSTOMARY[-1] else UNKNOWN_RATE)
    steady = bool(nominal) and abs(source - nominal) <= VARIES * nominal
    value = nominal if steady else source
    while value > CUSTOMARY[-1]:
        value /= 2
    while value < SLOWEST:
        value *= 2
    nearest = min(CUSTOMARY, key=lambda rate: abs(rate / value - 1))
    value = nearest if not steady or abs(nearest / value - 1) <= CLOSE else value
    return Rate(value, convert=value != nominal)


def maxrate(width: int, height: int, rate: Fraction) -> int:
    """Kilobits a second that a picture of this size may use at most: those of the smallest customary box around it."""
    across, down = max(width, height), min(width, height)
    holding = (rung for rung in MAXRATE_KBITS if across <= _even_up(Fraction(16 * rung, 9)) and down <= rung)
    kbits = MAXRATE_KBITS[min(holding, default=max(MAXRATE_KBITS))]
    return kbits * 3 // 2 if rate > FAST else kbits


def variant_map(plan: HlsPlan) -> str:
    """ffmpeg's description of which video stream belongs to which playlist."""
    return " ".join(f"v:{i},name:{rendition.name}" for i, rendition in enumerate(plan.renditions))


def _fit(width: Fraction, height: Fraction, rung: int) -> Fraction:
    across, down = Fraction(16 * rung, 9), Fraction(rung)
    if height > width:
        across, down = down, across
    return min(Fraction(1), across / width, down / height)


def _rendition(width: Fraction, height: Fraction, rung: int, factor: Fraction, rate: Fraction) -> Rendition:
    across = min(_even_up(width * factor), _even_down(width))
    down = min(_even_up(height * factor), _even_down(height))
    return Rendition(f"{rung}p", across, down, maxrate(across, down, rate))


def _even_up(value: Fraction) -> int:
    return 2 * ceil(value / 2)


def _even_down(value: Fraction) -> int:
    return max(2, 2 * int(value / 2))
