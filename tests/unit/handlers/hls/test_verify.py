"""Verification of an encode: each track against its own packets in the source, whatever the container declares."""

from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from secondunit.handlers.hls.pipeline import Encoded
from secondunit.handlers.hls.plan import Passthrough, plan
from secondunit.handlers.hls.playlists import MediaSegment, Playlist, Unfinished
from secondunit.handlers.hls.segments import Span
from secondunit.handlers.hls.verify import Material, SpoiledCopy, cut_alike, unfinished, unfinished_sound, verify
from secondunit.handlers.tools.media.packets import Packets, TrackPackets
from secondunit.handlers.tools.media.probe import Audio, MediaInfo, Video
from secondunit.queue.outcome import Deterministic, Transient

VIDEO = Video(0, "h264", 640, 360, Fraction(1), 0, Fraction(25), Fraction(25), "yuv420p", "", "", False)


WELL = Encoded(100, 100)


def track(last: float, first: float = 0.0) -> TrackPackets:
    return TrackPackets(9, first, last, last + 0.04)


def material(
    declared: float | None = 60.0,
    *,
    pictures: TrackPackets | None = None,
    sound: TrackPackets | None = None,
    words: TrackPackets | None = None,
    format: str = "mov,mp4",
    cut_off: bool = False,
    encoded: Encoded = WELL,
) -> Material:
    info = MediaInfo(format, declared, False, False, VIDEO, Audio(1, "aac", 2))
    held = enumerate((pictures or track(60), sound or track(60), words))
    packets = Packets({index: one for index, one in held if one}, cut_off)
    return Material(info, packets, plan(info, VIDEO, ["360p"], "fmp4"), encoded)


def made(last: float) -> Span:
    return Span(0.08, last + 0.08, last + 0.12)


def verdict(material: Material, pictures: float = 60, sound: float = 60) -> list[str]:
    return verify("a.mp4", material, [made(pictures)], made(sound))


def playlist(*seconds: float) -> Playlist:
    return Playlist("360p", tuple(MediaSegment(f"{i}", one, 1) for i, one in enumerate(seconds)), "avc1", 1)


@pytest.mark.parametrize("short", [0.0, 0.9, 2.9, -5.0])
def test_a_track_that_is_nearly_all_there_passes_in_silence(short: float) -> None:
    assert verdict(material(), 60 - short) == verdict(material(), sound=60 - short) == []


@pytest.mark.parametrize(
    ("source", "pictures", "sound", "name"),
    [
        (material(), 2.04, 60, "the video track of a.mp4"),
        (material(), 60, 56.9, "the sound track of a.mp4"),
        (material(3, pictures=track(3), sound=track(1)), 1.9, 3, "the video track"),
        (material(sound=track(60, first=50)), 60, 58.9, "the sound track"),
    ],
)
def test_a_track_that_ends_before_its_packets_do_is_named(
    source: Material, pictures: float, sound: float, name: str
) -> None:
    with pytest.raises(Deterministic) as refused:
        verdict(source, pictures, sound)
    assert refused.value.type == "input_truncated" and name in str(refused.value)


def test_tracks_of_different_lengths_are_judged_each_by_its_own_packets() -> None:
    assert verdict(material(pictures=track(30)), pictures=30) == []
    assert verdict(material(pictures=track(9), sound=track(9), words=track(60)), 9, 9) == []


@pytest.mark.parametrize(("declared", "warned"), [(60.0, False), (63.0, False), (None, False), (64.0, True)])
def test_a_declared_duration_alone_refuses_nothing(declared: float | None, warned: bool) -> None:
    warnings = verdict(material(declared))
    assert [warning.split(":")[0] for warning in warnings] == ["duration_short"] * warned


def test_a_declared_duration_that_the_files_end_bears_out_does() -> None:
    with pytest.raises(Deterministic) as refused:
        verdict(material(64, cut_off=True))
    assert refused.value.type == "input_truncated"
    assert verdict(material(60, cut_off=True)) == verdict(material(90, cut_off=True, format="mpegts")) == []


def test_a_guessed_duration_accuses_nobody() -> None:
    source = material(90, cut_off=True)
    assert verdict(replace(source, info=replace(source.info, estimated=True))) == []


def test_a_much_longer_content_is_a_warning() -> None:
    assert verdict(material(30))[0].startswith("duration_overrun")
    assert verdict(material(34)) == []


def test_a_subtitle_that_outlasts_what_is_declared_is_no_longer_content() -> None:
    assert verdict(material(9, pictures=track(9), sound=track(9), words=track(60)), 9, 9) == []


@pytest.mark.parametrize(("unread", "refused"), [(1.0, False), (8.0, True), (-1.0, False), (-90.0, True)])
def test_a_stream_that_has_more_of_a_track_than_was_read_is_not_all_there(unread: float, refused: bool) -> None:
    source = material(sound=replace(track(60), unread=unread))
    with pytest.raises(Deterministic, match=r"the sound track .* goes on after 60.0 s") if refused else nullcontext():
        assert verdict(source) == []


def test_pauses_of_picture_and_sound_are_a_warning() -> None:
    source = material()
    packets = replace(source.packets, pauses=[(8.0, 15.5), (20.0, 22.0)])
    assert verdict(replace(source, packets=packets)) == [
        "pause: a.mp4 has neither picture nor sound from 8.0 to 15.5 s, from 20.0 to 22.0 s"
    ]


@pytest.mark.parametrize(
    ("gap", "holes", "warned"),
    [
        (0.04, [], False),
        (0.04, [(10.0, 12.5)], True),
        (2.0, [(10.0, 12.5)], False),
        (10.0, [(10.0, 20.0), (30.0, 33.0)], False),
        (0.04, [(-1.0, 9.0), (-1.0, 40.0)], True),
        (0.04, [(-1.0, 1.0), (-1.0, 40.0)], False),
    ],
)
def test_what_could_not_be_decoded_is_a_warning_where_there_were_packets(gap: float, holes: Any, warned: bool) -> None:
    for kind in ("blank", "silent"):
        source = material(pictures=replace(track(60), gap=gap), sound=replace(track(60), gap=gap))
        warnings = verdict(replace(source, encoded=replace(WELL, **{kind: holes})))
        assert [warning.split(":")[0] for warning in warnings] == ["undecodable"] * warned


def test_a_track_of_which_much_could_not_be_decoded_is_refused() -> None:
    with pytest.raises(
        Deterministic, match=r"the sound track of a.mp4 .* from 10.0 to 12.5 s, from 30.0 to 32.0 s"
    ) as refused:
        verdict(material(encoded=replace(WELL, silent=[(10.0, 12.5), (30.0, 32.0)])))
    assert refused.value.type == "input_truncated"


@pytest.mark.parametrize(
    ("key", "blank", "refused"),
    [(None, 30.0, False), (30.0, 30.0, False), (0.0, 30.0, True), (20.0, 24.5, True), (0.0, 2.5, False)],
)
def test_a_beginning_that_has_a_key_frame_and_can_t_be_decoded_is_damage(
    key: float | None, blank: float, refused: bool
) -> None:
    source = material(pictures=replace(track(60), key=key), encoded=replace(WELL, blank=[(-1.0, blank)]))
    with pytest.raises(Deterministic, match=r"the video track of a.mp4 has packets") if refused else nullcontext():
        assert [one.split(":")[0] for one in verdict(source)] == ["undecodable"]


def test_a_clock_that_goes_back_is_a_warning() -> None:
    assert verdict(material(pictures=replace(track(60), back=0.5))) == []
    assert verdict(material(pictures=replace(track(60), back=4)))[0].startswith(
        "clock_back: the times of the video track"
    )


@pytest.mark.parametrize(
    ("format", "first", "refused"), [("mpegts", 30.0, True), ("mpegts", 28.0, False), ("mov,mp4", 30.0, False)]
)
def test_a_recording_that_goes_on_in_another_track_is_not_all_there(format: str, first: float, refused: bool) -> None:
    source = material(pictures=track(30), words=track(60, first=first), format=format)
    with pytest.raises(Deterministic, match=r"ends at 30.0 s, where another") if refused else nullcontext():
        verdict(source, pictures=30)


COPIED = Passthrough(picture=True)


@pytest.mark.parametrize(
    ("copied", "cuts", "alike"),
    [
        (Passthrough(), (6, 6), True),
        (Passthrough(), (6.001, 6), False),
        (COPIED, (6.002, 5.998, 1.96), False),
        (COPIED, (6.0019, 5.96), True),
        (COPIED, (6.003, 6), False),
        (COPIED, (6, 5.94), False),
        (COPIED, (6,), False),
    ],
)
def test_renditions_that_are_cut_differently_are_not_published(
    copied: Passthrough, cuts: tuple[float, ...], alike: bool
) -> None:
    kind = SpoiledCopy if copied.picture else Transient
    with nullcontext() if alike else pytest.raises(kind, match="cut at different times"):
        cut_alike("a.mp4", replace(material().plan, copied=copied), [playlist(6, 6), playlist(*cuts)])


@pytest.mark.parametrize(
    ("nothing", "frames", "kind", "type"),
    [
        (True, 0, Deterministic, "unreadable"),
        (True, 50, Transient, "disk_full"),
        (False, 50, Transient, "disk_full"),
        (False, 0, Transient, "disk_full"),
    ],
)
def test_pictures_that_were_encoded_and_are_not_there_are_the_disks_fault(
    nothing: bool, frames: int, kind: Any, type: str
) -> None:
    source = material(encoded=Encoded(frames, 0))
    raised = unfinished("a.mp4", source, Unfinished("no playlist", nothing=nothing))
    assert isinstance(raised, kind) and raised.type == type


@pytest.mark.parametrize(
    ("nothing", "heard", "attempt", "kind", "type"),
    [
        (True, 0, 1, Transient, "disk_full"),
        (True, 0, 2, Deterministic, "input_truncated"),
        (True, 9, 2, Transient, "disk_full"),
        (False, 0, 2, Transient, "disk_full"),
    ],
)
def test_sound_of_which_nothing_is_there_is_the_inputs_fault_the_second_time(
    nothing: bool, heard: int, attempt: int, kind: Any, type: str
) -> None:
    source = replace(material(encoded=Encoded(50, heard)), attempt=attempt)
    raised = unfinished_sound("a.mp4", source, Unfinished("no playlist", nothing=nothing))
    assert isinstance(raised, kind) and raised.type == type
