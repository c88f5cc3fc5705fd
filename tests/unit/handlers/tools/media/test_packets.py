"""Packet counts: what a file holds, over clocks that start anew; and what is made of them."""

from typing import Any

import pytest

from secondunit.handlers.tools.media.packets import Packets, TrackPackets, heard
from secondunit.handlers.tools.media.packets_child import count
from secondunit.handlers.tools.media.probe import Audio, MediaInfo


def packets(index: int, first: float, number: int, step: float = 1.0) -> list[str]:
    return [f"{index},{first + step * i:.6f},{first + step * i:.6f},{step:.6f},K_" for i in range(number)]


def tracks(*lines: list[str], restarting: bool = True) -> Any:
    return count([line for part in lines for line in part], restarting=restarting)


def test_each_track_has_its_packets_its_first_and_last_moment_and_its_end() -> None:
    lines = [*packets(0, 0, 3), "1,0.500000,0.500000,N/A,K_", "", "1,2.5,N/A,0.25,K_,side", "2,N/A,N/A,N/A,__"]
    assert tracks(lines) == {"0": [3, 0.0, 2.0, 3.0], "1": [2, 0.5, 2.5, 2.75], "2": [1]}


def test_the_last_moment_is_of_what_is_shown_not_of_what_comes_last() -> None:
    assert tracks(["0,0,0,1,K_", "0,3,1,1,__", "0,1,2,1,__", "0,9,3,1,_D"]) == {"0": [3, 0.0, 3.0, 4.0]}


def test_another_clock_goes_on_where_the_last_one_ended() -> None:
    joined = tracks(packets(0, 1, 9), packets(1, 1, 9), packets(0, 5000, 9), packets(1, 5000, 9))
    assert joined == {"0": [18, 1.0, 18.0, 19.0], "1": [18, 1.0, 18.0, 19.0]}
    assert tracks(packets(0, 95_440, 3), packets(0, 0, 3))["0"][3] == 95_446


def test_a_gap_is_time_and_so_is_one_in_a_format_whose_clock_is_steady() -> None:
    assert tracks(packets(0, 0, 3), packets(0, 9, 3))["0"] == [6, 0.0, 11.0, 12.0]
    assert tracks(packets(0, 0, 3), packets(0, 900, 3), restarting=False)["0"] == [6, 0.0, 902.0, 903.0]


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
