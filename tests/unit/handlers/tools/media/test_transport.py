"""What a transport stream has last of each track, read without a demuxer."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from secondunit.handlers.tools.media.transport import TURN, beyond, last_shown

PICTURE, SOUND = 0x100, 0x1FF


def packet(pid: int, seconds: float | None, *, adapted: bool = False, scrambled: bool = False) -> bytes:
    """A packet of 188 bytes, with which a PES packet of that time begins if one is given."""
    head = bytes([0x47, (0x40 if seconds is not None else 0) | pid >> 8, pid & 0xFF])
    head += bytes([0x80 * scrambled | (0x30 if adapted else 0x10)]) + (bytes([7, 0x40, *bytes(6)]) if adapted else b"")
    ticks = round((seconds or 0) * 90_000)
    shown = bytes([0x21 | ticks >> 29 & 0xE, ticks >> 22 & 0xFF, ticks >> 14 & 0xFE | 1, ticks >> 7 & 0xFF])
    pes = b"\0\0\1\xe0\0\0\x80\x80\5" + shown + bytes([ticks << 1 & 0xFE | 1]) if seconds is not None else b"\xff" * 99
    return (head + pes).ljust(188, b"\xff")


def read(folder: Path, content: bytes, pids: Collection[int] = (PICTURE, SOUND), **how: int) -> Mapping[int, float]:
    path = folder / "film.ts"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        return last_shown(fd, pids, **how)
    finally:
        os.close(fd)


FILM = [
    *(packet(PICTURE, 1 + i / 25, adapted=not i) for i in range(50)),
    *(packet(SOUND, 1 + i / 47) for i in range(90)),
    packet(PICTURE, None),
    packet(0x30, 99),
    packet(PICTURE, 77, scrambled=True),
]


@pytest.mark.parametrize(("before", "behind"), [(b"", b""), (b"\0\0\0\0", b""), (b"", b"\0" * 16)])
def test_the_last_time_of_each_track_is_told(tmp_path: Path, before: bytes, behind: bytes) -> None:
    found = read(tmp_path, b"".join(before + one + behind for one in FILM))
    assert found == {PICTURE: pytest.approx(2.96, abs=1e-4), SOUND: pytest.approx(1 + 89 / 47, abs=1e-4)}


def test_only_the_end_is_read_wherever_it_begins_and_late_times_are_whole(tmp_path: Path) -> None:
    late = packet(SOUND, 95_000.5)
    assert read(tmp_path, b"".join([*FILM, *[late] * 9]), window=188 * 9 + 50) == {SOUND: pytest.approx(95_000.5)}


@pytest.mark.parametrize("content", [b"", b"\x47", b"\x47" * 5000, bytes(5000), packet(PICTURE, 1) * 3])
def test_what_is_no_stream_has_nothing(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == {}


def test_a_clock_begins_anew() -> None:
    assert [round(beyond(*pair)) for pair in ((5, 3), (3, 5), (2, TURN - 2), (TURN - 2, 2))] == [2, -2, 4, -4]
