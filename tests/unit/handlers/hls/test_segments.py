"""Media segments: whole ones tell how long they last, cut-off ones and those that lack packets are refused."""

import struct
from pathlib import Path

import pytest

from secondunit.handlers.hls.demux import PACKET
from secondunit.handlers.hls.playlists import MediaSegment, Playlist, Unfinished
from secondunit.handlers.hls.segments import Span, span


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind: bytes, flags: int, content: bytes, version: int = 0) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3, "big") + content)


INIT = box(b"moov", box(b"trak", box(b"mdia", full(b"mdhd", 0, struct.pack(">IIII", 0, 0, 1000, 0)))))


def fragment(begin: int, samples: int, *, each: bool = False) -> bytes:
    """So many samples of half a second: as the header's default, or `each` with its own duration and size."""
    header = full(b"tfhd", 0x20038, struct.pack(">IIII", 1, 500, 9, 0))
    rows = struct.pack(">II", 500, 9) * samples if each else b""
    run = full(b"trun", 0x301 if each else 0x1, struct.pack(">II", samples, 0) + rows)
    track = header + full(b"tfdt", 0, struct.pack(">Q", begin), version=1) + run
    return (
        box(b"styp", b"msdh") + box(b"moof", full(b"mfhd", 0, bytes(4)) + box(b"traf", track)) + box(b"mdat", bytes(99))
    )


def transport(*moments: float) -> bytes:
    packets = b""
    for moment in moments:
        ticks = round(moment * 90_000)
        stamp = 0x2100010001 | (ticks >> 30 & 7) << 33 | (ticks >> 15 & 0x7FFF) << 17 | (ticks & 0x7FFF) << 1
        pes = b"\0\0\1\xe0\0\0\x80\x80\x05" + stamp.to_bytes(5, "big")
        filled = PACKET - 4 - len(pes)
        packets += b"\x47\x41\x00\x30" + bytes([filled - 1, 0]) + b"\xff" * (filled - 2) + pes
    return packets


def home(folder: Path, files: dict[str, bytes]) -> Path:
    (folder / "720p").mkdir()
    for name, content in files.items():
        (folder / "720p" / name).write_bytes(content)
    return folder


def playlist(*segments: tuple[str, float], init: str | None = "init.mp4") -> Playlist:
    return Playlist("720p", tuple(MediaSegment(name, seconds, 1) for name, seconds in segments), "avc1", 1, init)


def test_fragments_last_for_the_sum_of_their_samples(tmp_path: Path) -> None:
    parts = fragment(6080, 2) + fragment(7080, 2, each=True)
    files = {"init.mp4": INIT, "0.m4s": fragment(80, 12), "1.m4s": parts}
    found = span(home(tmp_path, files), playlist(("0.m4s", 6), ("1.m4s", 2)), 0)
    assert found == Span(0.08, 7.58, 8.08)


def test_transport_streams_last_from_their_first_to_their_last_timestamp(tmp_path: Path) -> None:
    files = {"0.ts": transport(1.48, 3, 2.5, 7), "1.ts": transport(7.5, 9)}
    found = span(home(tmp_path, files), playlist(("0.ts", 6), ("1.ts", 2), init=None), 0.5)
    assert found == Span(1.48, 9.0, 9.0)


@pytest.mark.parametrize(
    ("files", "seconds", "why"),
    [
        ({"init.mp4": INIT, "0": fragment(0, 12)[:-1]}, 6, "720p/0 is cut off"),
        ({"init.mp4": INIT, "0": fragment(0, 12) + b"mo"}, 6, "cut off"),
        ({"init.mp4": INIT[:-4], "0": fragment(0, 12)}, 6, "init.mp4 is cut off"),
        ({"init.mp4": box(b"moov", b""), "0": fragment(0, 12)}, 6, "no track"),
        ({"init.mp4": INIT, "0": box(b"styp", b"msdh")}, 6, "holds less than its 6.0 s"),
        ({"init.mp4": INIT, "0": fragment(0, 10)}, 6, "holds less"),
        ({"init.mp4": INIT, "0": fragment(500, 14)}, 6, "lasts 7.0 s, not 6.0"),
        ({"0": transport(0, 6)[:-1]}, 6, "cut off"),
        ({"0": transport(0, 1)}, 6, "holds less"),
        ({"0": bytes(PACKET)}, 6, "cut off"),
    ],
)
def test_what_is_not_all_there_is_refused(tmp_path: Path, files: dict[str, bytes], seconds: float, why: str) -> None:
    with pytest.raises(Unfinished, match=why):
        span(home(tmp_path, files), playlist(("0", seconds), init="init.mp4" if len(files) > 1 else None), 0.04)


@pytest.mark.parametrize(("seconds", "nothing"), [(0, True), (6, False)])
def test_a_segment_without_a_packet_is_nothing_where_the_playlist_expects_none(
    tmp_path: Path, seconds: float, nothing: bool
) -> None:
    files = {"init.mp4": INIT, "0": box(b"styp", b"msdh")}
    with pytest.raises(Unfinished) as raised:
        span(home(tmp_path, files), playlist(("0", seconds)), 0.04)
    assert raised.value.nothing is nothing
