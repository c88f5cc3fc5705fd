"""Packet counts: what a file holds, over clocks that start anew; and what is made of them."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from secondunit.handlers.tools.media.packets import Packets, TrackPackets, heard, packets_of, with_unread
from secondunit.handlers.tools.media.packets_child import count, units
from secondunit.handlers.tools.media.probe import Audio, MediaInfo, Video

VIDEO = Video(0, "h264", 640, 360, Fraction(1), 0, Fraction(25), Fraction(25), "yuv420p", "", "", False)


def packets(index: int, first: float, number: int, step: float = 1.0) -> list[str]:
    return [f"{index},{first + step * i:.6f},{first + step * i:.6f},{step:.6f},1000,K_" for i in range(number)]


def tracks(*lines: list[str], restarting: bool = True) -> Any:
    return count([line for part in lines for line in part], restarting=restarting)["tracks"]


def test_each_track_has_its_packets_its_first_and_last_moment_and_its_end() -> None:
    lines = [*packets(0, 0, 3), "1,0.500000,0.500000,N/A,9,K_", "", "1,2.5,N/A,0.25,9,K_,side", "2,N/A,N/A,N/A,9,__"]
    assert tracks(lines) == {"0": [3, 0.0, 2.0, 3.0], "1": [2, 0.5, 2.5, 2.75], "2": [1]}


def test_the_last_moment_is_of_what_is_shown_not_of_what_comes_last() -> None:
    assert tracks(["0,0,0,1,9,K_", "0,3,1,1,9,__", "0,1,2,1,9,__", "0,9,3,1,9,_D"]) == {"0": [3, 0.0, 3.0, 4.0]}


def test_another_clock_goes_on_where_the_last_one_ended() -> None:
    joined = tracks(packets(0, 1, 9), packets(1, 1, 9), packets(0, 5000, 9), packets(1, 5000, 9))
    assert joined == {"0": [18, 1.0, 18.0, 19.0], "1": [18, 1.0, 18.0, 19.0]}
    assert tracks(packets(0, 95_440, 3), packets(0, 0, 3))["0"][3] == 95_446


def test_a_gap_is_time_and_so_is_one_in_a_format_whose_clock_is_steady() -> None:
    assert tracks(packets(0, 0, 3), packets(0, 9, 3))["0"] == [6, 0.0, 11.0, 12.0]
    assert tracks(packets(0, 0, 3), packets(0, 900, 3), restarting=False)["0"] == [6, 0.0, 902.0, 903.0]


def test_steps_are_the_longest_without_a_picture_and_the_longest_back() -> None:
    empty = "0,3.0,3.0,1.0,0,__"  # of a screen that stays as it is
    found: Any = count([*packets(0, 0, 3), empty, *packets(0, 5.5, 2), *packets(0, 2, 2)], restarting=False)
    assert found["steps"]["0"][:2] == [3.5, 4.5]


def test_the_first_key_frame_is_told_by_when_it_is_shown() -> None:
    lines = ["0,1.0,0.9,0.1,900,__", "0,1.3,1.0,0.1,900,K_", "0,1.1,1.1,0.1,900,K_", "1,0.0,0.0,0.1,900,__"]
    found: Any = count(lines, restarting=False)["steps"]
    assert (found["0"][2], found["1"][2]) == (1.3, None)


def test_a_pause_is_where_neither_track_has_packets_and_both_go_on() -> None:
    lines = [*packets(0, 0, 9), *packets(1, 0, 9), *packets(0, 15, 9), *packets(1, 16, 9), *packets(0, 30, 9)]
    told: Any = count([*lines, *packets(2, 9, 1)], restarting=False, played=(0, 1))["pauses"]
    assert told == [(9.0, 15.0)]
    assert count([*lines, *packets(1, 31, 1)], restarting=False, played=(0, 1))["pauses"] == [(9.0, 15.0), (25.0, 30.0)]
    assert count(lines, restarting=False, played=(0,))["pauses"] == []


def test_what_a_transport_stream_has_last_is_laid_beside_the_last_packet() -> None:
    held = Packets({0: TrackPackets(9, 1, 9, 10, clock=95_440.0), 1: TrackPackets(9, 1, 9, 10)}, cut_off=False)
    found = with_unread(held, {0: 0x100, 1: 0x101, 2: 0x102}, {0x100: 7.2, 0x101: 9.0}).tracks
    assert (round(found[0].unread, 1), found[1].unread, len(found)) == (10.9, 0, 2)


HELD = Packets({0: TrackPackets(9, 1.0, 9.0, 10.0), 2: TrackPackets(1, 2.0, 2.0, 41.0)}, cut_off=False)


def test_a_file_lasts_from_its_first_track_to_the_end_of_the_last() -> None:
    assert (HELD.duration, HELD.until([0]), HELD.until([0, 7]), Packets({}, False).duration) == (40, 9, 9, 0)


@pytest.mark.parametrize(("format", "duration", "estimated"), [("mpegts", 40.0, False), ("matroska,webm", 5.0, True)])
def test_only_a_format_that_declares_none_has_the_duration_of_its_packets(
    format: str, duration: float, estimated: bool
) -> None:
    found = heard(MediaInfo(format, 5.0, True, False, None, Audio(2, "aac", 2)), HELD)
    assert (found.duration, found.estimated, found.audio) == (duration, estimated, Audio(2, "aac", 2))


def test_a_sound_track_without_packets_is_none() -> None:
    assert heard(MediaInfo("avi", 5.0, False, False, None, Audio(1, "aac", 2)), HELD).audio is None


def test_a_cover_that_is_called_a_film_and_an_empty_sound_track_are_passed_over() -> None:
    sounds, videos = [Audio(index, "aac", 2) for index in (1, 2)], [replace(VIDEO, index=index) for index in (2, 3, 0)]
    info = MediaInfo("avi", 5.0, False, False, videos[0], sounds[0], videos=videos, audios=sounds)
    found = heard(info, HELD)
    assert (found.video, found.audio) == (videos[2], sounds[1])
    assert heard(replace(info, videos=videos[:1]), HELD).video == videos[0]


def packet(
    at: float, *, decoded: float | str | None = None, size: int = 1000, flags: str = "K_", beside: str = ""
) -> str:
    return f"0,{at},{at if decoded is None else decoded},0.04,{size},{flags},{beside}"


def group(first: float, pictures: int = 51) -> list[str]:
    """Pictures at 25 a second in the order of decoding: a key frame, then one ahead and one B-frame, and so on."""
    found = [packet(first, decoded=first - 0.04)]
    for number in range(1, pictures - 1, 2):
        at = first + 0.04 * number
        found += [
            packet(round(at + 0.04, 3), decoded=at, flags="__"),
            packet(round(at, 3), decoded=at + 0.04, flags="__"),
        ]
    return found


def pace(lines: list[str]) -> Any:
    return count(lines, restarting=False, closely=[0])["pace"]["0"]


def test_the_pace_is_told_in_the_order_of_showing() -> None:
    found = pace([*group(0), *group(2.04)])
    assert (found["first"], found["last"], found["reordered"], found["key_first"]) == (0, 4.04, True, True)
    assert (found["least_step"], found["largest_step"]) == (pytest.approx(0.04), pytest.approx(0.04))
    assert (found["largest_group"], found["odd"], found["left_out"]) == (2.04, 0, 0)


def test_the_peak_is_that_of_the_segments_as_they_will_be_cut() -> None:
    # Groups of 5 s: cut at 10 s and 15 s; the second segment holds one group, with a large picture.
    lines = [packet(at / 25, flags="__" if at % 125 else "K_") for at in range(500)]
    lines[250] = packet(10, size=1_000_000)
    assert pace(lines)["peak"] == pytest.approx(8 * (1_000_000 + 124 * 1000) / 5)
    assert pace(lines[:251])["peak"] == pytest.approx(8 * 1_000_000 / 6)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (packet(4.08, beside="New Extradata"), "odd", 1),
        (packet(4.08, flags="KD", beside="Skip Samples"), "odd", 1),
        (packet(4.08, flags="KD"), "left_out", 1),
        ("0,N/A,4.08,0.04,9,K_", "odd", 1),
        (packet(9, flags="__"), "largest_step", 4.96),
        (packet(9, flags="__"), "largest_group", 6.96),
        (packet(2, decoded=4.08, flags="__"), "least_step", -0.76),
    ],
)
def test_what_is_odd_is_seen(line: str, field: str, value: Any) -> None:
    assert pace([*group(0), *group(2.04), line])[field] == pytest.approx(value)


def test_what_is_left_out_before_the_first_that_is_shown_is_not_odd() -> None:
    found = pace([packet(-0.021, flags="KD"), *group(0)])
    assert (found["odd"], found["left_out"], found["first"]) == (0, 1, 0)
    assert not pace([packet(0, flags="__"), *group(0.04)])["key_first"]


BASES = ["#software: x", "#tb 0: 1/100", "#tb 1: 1/100", "#tb 2: 1/50"]
IDR, SETS, KEY, OTHER = (
    "0, 0, 8, 4, 9, 0xa",
    "1, 0, 8, 4, 9, 0x1",
    "2, 0, 4, 2, 9, 0xa, S=1, 1",
    "2, 0, 6, 2, 9, 0xb, F=0x0",
)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([IDR, SETS, KEY, OTHER], (2, True, 1)),
        ([IDR, SETS, KEY, OTHER, "2, 9, 9, 2, 9, 0xa"], (3, False, 1)),
        ([IDR, SETS, OTHER], (1, False, 1)),
        ([IDR, SETS, KEY, "1, 9, 9, 4, 9, 0x1", "1, 12, 12, 4, 9, 0x2"], (1, True, 2)),
        ([], (0, False, 0)),
    ],
)
def test_units_are_told_by_what_is_left_of_each_kind(lines: list[str], told: tuple[int, bool, int]) -> None:
    assert tuple(units([*BASES, *lines]).values()) == told


def test_the_report_of_the_child_is_read() -> None:
    told = {
        **count([*group(0), "1,N/A,N/A,N/A,9,__"], restarting=False, closely=[0]),
        "units": units([*BASES, IDR, KEY]),
    }
    found = packets_of(json.dumps(told), cut_off=True)
    assert found.cut_off and list(found.tracks) == list(found.paces) == [0] and found.paces[0].first == 0
    assert found.units and found.units.keys_are_idr
    assert packets_of(json.dumps({**told, "units": None}), cut_off=False).units is None
