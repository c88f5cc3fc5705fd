"""What of a source is copied into its rung, decided without a video."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from secondunit.handlers.hls.passthrough import (
    closely,
    decisions,
    headline_doubt,
    nothing_copied,
    passthrough,
    untagged,
)
from secondunit.handlers.hls.plan import HlsPlan, Passthrough, Rate, plan
from secondunit.handlers.tools.media.packets import Closely, Pace, Packets, TrackPackets, Units
from secondunit.handlers.tools.media.probe import Audio, MediaInfo, Video

VIDEO = Video(
    0,
    "h264",
    1280,
    720,
    Fraction(1),
    0,
    Fraction(25),
    Fraction(25),
    "yuv420p",
    "bt709",
    "bt709",
    interlaced=False,
    primaries="bt709",
    progressive=True,
    range="tv",
    profile="High",
    level=40,
)
AUDIO = Audio(1, "aac", 2, "LC", 48000)
FRAME = 1024 / 48000
PICTURE = Pace(10.0, 69.96, 0.04, 0.04, True, 0, 0, True, 2.0, 2_000_000.0)
SOUND = Pace(10.0, 10 + 2800 * FRAME, 0.0213, 0.0214, False, 0, 1, True, 0.02, 1.0)
UNITS = Units(1500, True, 1)
PACKETS = Packets(
    {0: TrackPackets(1500, 10.0, 69.96, 70.0), 1: TrackPackets(2801, 10.0, 69.73, 69.76)},
    False,
    {0: PICTURE, 1: SOUND},
    UNITS,
)


def todo(**changes: Any) -> HlsPlan:
    """The plan for a video that is the rung already, but for these changes of it."""
    video = replace(VIDEO, **changes)
    made = plan(MediaInfo("mov", 60.0, False, False, video, AUDIO), video, ["720p", "360p"], "fmp4")
    return replace(made, renditions=(replace(made.renditions[0], width=1280, height=720), *made.renditions[1:]))


def picture(start: float = 10.0, units: Units | None = UNITS, **changes: Any) -> Passthrough:
    packets = replace(PACKETS, paces={**PACKETS.paces, 0: replace(PICTURE, **changes)}, units=units)
    return passthrough(todo(), "auto", packets, start)


def sound(audio: Audio = AUDIO, start: float = 10.0, packets: int = 2801, **changes: Any) -> Passthrough:
    held = Packets(
        {**PACKETS.tracks, 1: replace(PACKETS.tracks[1], packets=packets)},
        False,
        {0: PICTURE, 1: replace(SOUND, **changes)},
        UNITS,
    )
    return passthrough(replace(todo(), audio=audio), "auto", held, start)


def test_a_picture_that_is_the_rung_already_is_copied_with_its_sound() -> None:
    assert passthrough(todo(), "auto", PACKETS, 10.0) == Passthrough(True, True, 0.0, True, "")
    assert closely(todo(), "auto") == Closely((0, 1), 0, 6)
    assert [rung.name for rung in replace(todo(), copied=picture()).encoded] == ["360p"]


def test_nothing_is_copied_or_looked_at_when_that_is_not_wanted() -> None:
    assert not passthrough(todo(), "never", PACKETS, 10.0).anything
    assert closely(todo(), "never") == Closely()


@pytest.mark.parametrize(
    "otherwise",
    [
        {"codec": "hevc"},
        {"pix_fmt": "yuv420p10le"},
        {"pix_fmt": "yuvj420p"},
        {"profile": "High 4:2:2"},
        {"profile": "Baseline"},
        {"profile": ""},
        {"level": 0},
        {"level": 62},
        {"progressive": False},
        {"width": 1278},
        {"height": 722},
        {"aspect": Fraction(4, 3)},
        {"rotation": 1},
        {"rotation": 2},
        {"transfer": "smpte2084"},
        {"matrix": "smpte170m"},
        {"matrix": "", "transfer": "smpte170m", "primaries": ""},
        {"primaries": "bt2020"},
        {"range": "pc"},
    ],
)
def test_headers_that_speak_against_a_copy(otherwise: Any) -> None:
    doubtful = todo(**otherwise)
    assert passthrough(doubtful, "auto", PACKETS, 10.0).doubt == headline_doubt(doubtful) != ""
    assert closely(doubtful, "auto") == Closely((1,), None, 6)


def test_a_rate_that_is_brought_to_another_is_no_copy() -> None:
    assert headline_doubt(replace(todo(), rate=Rate(Fraction(25), convert=True))) != ""


@pytest.mark.parametrize(("height", "copied"), [(720, True), (718, False)])
def test_colours_without_a_tag_are_those_of_hd_from_720_lines_up(height: int, copied: bool) -> None:
    plan = todo(height=height, matrix="unknown", transfer="", primaries="", range="")
    native = replace(plan.renditions[0], height=height)
    assert (headline_doubt(replace(plan, renditions=(native,))) == "") is copied
    assert untagged(plan.video) and not untagged(VIDEO)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"units": None},
        {"units": Units(1499, True, 1)},
        {"units": Units(1500, False, 1)},
        {"units": Units(1500, True, 0)},
        {"units": Units(1500, True, 2)},
        {"first": None},
        {"key_first": False},
        {"largest_group": 6.1},
        {"first": 10.3},
        {"start": 10.1},
        {"left_out": 1},
        {"odd": 1},
        {"peak": 2_800_001.0},
        {"largest_step": 0.08},
        {"least_step": 0.01},
    ],
)
def test_packets_that_speak_against_a_copy(otherwise: Any) -> None:
    assert picture(**otherwise).doubt != "" and not picture(**otherwise).picture


def test_a_file_that_breaks_off_and_tracks_without_packets_are_no_copy() -> None:
    for packets in (replace(PACKETS, cut_off=True), replace(PACKETS, paces={}), replace(PACKETS, tracks={})):
        assert not passthrough(todo(), "auto", packets, 10.0).anything


def test_b_frames_are_copied_into_fragments_and_not_into_transport_streams() -> None:
    segments = replace(todo(), segment_type="ts")
    assert not passthrough(segments, "auto", PACKETS, 10.0).picture
    straight = replace(PACKETS, paces={**PACKETS.paces, 0: replace(PICTURE, reordered=False)})
    assert passthrough(segments, "auto", straight, 10.0) == Passthrough(True, True)


def test_of_each_rendition_it_is_said_what_becomes_of_it_and_why() -> None:
    plans = [replace(todo(), copied=copied) for copied in (picture(), picture(left_out=1), nothing_copied("it broke"))]
    larger = "encoded (the source is larger)"
    assert [{name: str(one) for name, one in decisions(plan).items()} for plan in plans] == [
        {"720p": "copied (the source is that already)", "360p": larger, "audio": "copied (the source is that already)"},
        {
            "720p": "encoded (an edit list leaves some of it out)",
            "360p": larger,
            "audio": "copied (the source is that already)",
        },
        {"720p": "encoded (it broke)", "360p": larger, "audio": "encoded (it broke)"},
    ]
    silent = replace(plans[0], audio=None)
    assert list(decisions(silent)) == ["720p", "360p"]


@pytest.mark.parametrize(
    ("otherwise", "doubt"),
    [
        ({}, ""),
        ({"audio": replace(AUDIO, codec="mp3")}, "mp3 with 2 channels at 48000 Hz is not AAC-LC in stereo"),
        ({"audio": replace(AUDIO, profile="HE-AAC")}, "is not AAC-LC"),
        ({"audio": replace(AUDIO, channels=6)}, "with 6 channels"),
        ({"audio": replace(AUDIO, rate=22050)}, "at 22050 Hz"),
        ({"largest_step": 0.03}, "it has gaps"),
        ({"least_step": 0.0}, "it has gaps"),
        ({"odd": 1}, "have no time"),
        ({"first": 10.02}, "none of its frames begins where the picture does"),
        ({"packets": 2760}, "it has gaps"),
        ({"first": 9.992}, "none of its frames"),
        ({"first": None}, "can't be read"),
    ],
)
def test_sound_that_is_kept(otherwise: Any, doubt: str) -> None:
    found = sound(**otherwise)
    assert found.sound is (doubt == "") and doubt in found.sound_doubt


def test_sound_is_kept_from_the_pictures_beginning_on_where_one_of_its_frames_begins_there() -> None:
    late = replace(PICTURE, first=10 + 2 * FRAME + 0.001)
    between = replace(PICTURE, first=10 + 2.4 * FRAME)
    for pace, kept in ((late, True), (between, False)):
        found = passthrough(todo(), "auto", replace(PACKETS, paces={0: pace, 1: SOUND}), 10.0)
        assert found.picture and found.sound is kept and found.begin == pytest.approx((pace.first or 0) - 10)


def test_sound_is_kept_beside_a_picture_that_is_encoded() -> None:
    found = passthrough(todo(codec="hevc"), "auto", PACKETS, 10.0)
    assert found.sound and not found.picture and found.begin == 0
