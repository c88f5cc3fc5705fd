"""I-frame playlists, from segments that are laid out by hand."""

import struct
from pathlib import Path

import pytest

from secondunit.handlers.hls.iframes import iframes, write_iframes
from secondunit.handlers.hls.init_segment import parted
from secondunit.handlers.hls.playlists import MediaSegment, Playlist, Unfinished


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


INIT = box(b"moov", box(b"trak", box(b"mdia", box(b"mdhd", words(0, 0, 0, 20, 0)))))


def fragment(header: bytes, run: bytes, begin: int = 0) -> bytes:
    moof = box(b"moof", box(b"mfhd", words(0, 1)), box(b"traf", header, box(b"tfdt", words(0, begin)), run))
    return box(b"styp", bytes(16)) + moof + box(b"mdat", bytes(300))


SIZES = fragment(box(b"tfhd", words(0x20008, 1, 40)), box(b"trun", words(0x601, 2, 140, 70, 0x2000000, 30, 0x1010000)))
LATER = fragment(box(b"tfhd", words(0x20008, 1, 40)), box(b"trun", words(0xA01, 1, 140, 80, 5)), 40)
NO_KEY = fragment(box(b"tfhd", words(0x20028, 1, 40, 0x1010000)), box(b"trun", words(0x201, 1, 140, 90)), 80)
SOON = fragment(box(b"tfhd", words(0x20008, 1, 40)), box(b"trun", words(0x201, 1, 140, 90)), 50)
ONE_SIZE = fragment(box(b"tfhd", words(0x2001A, 1, 1, 40, 55)), box(b"trun", words(0x5, 3, 140, 0x2000000)))


def packet(pid: int, start: bool, key: bool = False, seconds: float = 0) -> bytes:
    time = round(90_000 * (1.4 + seconds))
    coded = bytes([0x21 | time >> 29 & 0xE]) + struct.pack(">HH", time >> 14 & 0xFFFE | 1, time << 1 & 0xFFFE | 1)
    unit = b"\x00\x00\x01\xe0\x00\x00\x80\x80\x05" + coded if start else b""
    field = bytes([1, 0x40 if key else 0])
    return (struct.pack(">BHB", 0x47, pid | start << 14, 0x30) + field + unit).ljust(188, b"\xff")


TABLES = [packet(0, False), packet(0x1000, False)]
STREAM = [*TABLES, packet(256, True, True), packet(256, False), packet(256, True, False, 1), *TABLES]
STREAM += [packet(256, True, True, 2), packet(256, True, False, 3)]


def film(home: Path, *segments: bytes, init: str | None = "init.mp4") -> Playlist:
    (home / "720p").mkdir()
    for number, content in enumerate(segments):
        (home / "720p" / f"{number}.m4s").write_bytes(content)
    if init:
        (home / "720p" / init).write_bytes(INIT)
    found = tuple(MediaSegment(f"{i}.m4s", 4.0, len(content)) for i, content in enumerate(segments))
    return Playlist("720p", found, "avc1.640015", 1, init)


def test_of_a_fragment_the_range_is_its_header_and_its_first_picture(tmp_path: Path) -> None:
    text, ranges = iframes(tmp_path, film(tmp_path, SIZES, ONE_SIZE), 7)
    assert text == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:4.000000,\n#EXT-X-BYTERANGE:210@24\n0.m4s\n"
        "#EXTINF:4.000000,\n#EXT-X-BYTERANGE:195@24\n1.m4s\n#EXT-X-ENDLIST\n"
    )
    assert [(part.duration, part.size) for part in ranges] == [(4, 210), (4, 195)]


def test_each_fragment_that_begins_with_a_key_frame_is_listed_but_not_more_than_one_a_second(tmp_path: Path) -> None:
    _, ranges = iframes(tmp_path, film(tmp_path, SIZES + LATER + SOON + NO_KEY), 7)
    assert [(part.duration, part.size) for part in ranges] == [(2.25, 210), (1.75, 220)]


def test_of_a_transport_stream_the_range_is_the_packets_of_a_key_frame(tmp_path: Path) -> None:
    written = write_iframes(tmp_path, [film(tmp_path, b"".join(STREAM), init=None)], 6)
    lines = (tmp_path / "720p" / "iframes.m3u8").read_text().splitlines()
    assert [line for line in lines if "MAP" in line or "EXTINF" in line or "BYTERANGE" in line] == [
        '#EXT-X-MAP:URI="0.m4s",BYTERANGE="376@0"',
        "#EXTINF:2.000000,",
        "#EXT-X-BYTERANGE:376@376",
        "#EXTINF:2.000000,",
        f"#EXT-X-BYTERANGE:188@{7 * 188}",
    ]
    assert written["720p"].size == (tmp_path / "720p" / "iframes.m3u8").stat().st_size


@pytest.mark.parametrize(
    ("segment", "init"), [(b"", None), (b"".join(STREAM[4:]), None), (b"", "init.mp4"), (NO_KEY + LATER, "init.mp4")]
)
def test_a_segment_that_does_not_begin_with_a_key_frame_is_refused(
    tmp_path: Path, segment: bytes, init: str | None
) -> None:
    with pytest.raises(Unfinished, match="does not begin with a key frame"):
        iframes(tmp_path, film(tmp_path, segment, init=init), 6)


def test_fragments_that_the_muxer_left_behind_the_init_segment_go_to_the_first_one(tmp_path: Path) -> None:
    video = film(tmp_path, LATER, NO_KEY)
    headers = box(b"ftyp", b"iso6") + INIT
    (tmp_path / "720p" / "init.mp4").write_bytes(headers + SIZES[24:])
    found = parted(tmp_path, video)
    assert (tmp_path / "720p" / "init.mp4").read_bytes() == headers
    assert (tmp_path / "720p" / "0.m4s").read_bytes() == SIZES + LATER[24:]
    assert [segment.size for segment in found.segments] == [len(SIZES + LATER) - 24, len(NO_KEY)]
    assert len(list((tmp_path / "720p").iterdir())) == 3 and parted(tmp_path, found) == found
