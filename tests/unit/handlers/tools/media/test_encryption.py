"""Encryption check: what a file says of itself, in three containers; damage says nothing and takes no time."""

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from secondunit.handlers.tools.media.encryption import encryption

Look = Callable[[bytes, str | None], str | None]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def look(content: bytes, format: str | None) -> str | None:
        (tmp_path / "film").write_bytes(content)
        fd = os.open(tmp_path / "film", os.O_RDONLY)
        try:
            return encryption(fd, format)
        finally:
            os.close(fd)

    return look


def box(kind: bytes, content: bytes = b"", *, large: bool = False) -> bytes:
    if large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def film(*entries: bytes, large: bool = False) -> bytes:
    """Each of the entries in a track of its own."""
    described = [bytes(4) + struct.pack(">I", 1) + box(entry, bytes(78)) for entry in entries]
    tracks = [box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsd", content))))) for content in described]
    return box(b"ftyp", b"isom") + box(b"mdat", bytes(100), large=large) + box(b"moov", b"".join(tracks))


MP4 = "mov,mp4,m4a,3gp,3g2,mj2"


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (film(b"avc1", b"mp4a"), None),
        (film(b"encv", b"enca"), "CENC"),
        (film(b"avc1", b"enca", large=True), "CENC"),
        (film(b"drmi"), "FairPlay"),
        (box(b"mdat", b"encv" * 100) + film(b"avc1"), None),
    ],
)
def test_an_mp4_names_what_encrypts_it(look: Look, content: bytes, how: str | None) -> None:
    assert look(content, MP4) == how


@pytest.mark.parametrize("content", [b"", bytes(9999), b"nothing of a film" * 99])
def test_where_nobody_knows_the_format_each_is_tried(look: Look, content: bytes) -> None:
    assert (look(film(b"encv"), None), look(content, None)) == ("CENC", None)


def element(id: int, content: bytes, *, open: bool = False) -> bytes:
    length = b"\x01" + b"\xff" * 7 if open else (len(content) | 1 << 56).to_bytes(8, "big")
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + length + content


@pytest.mark.parametrize("open", [True, False])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_matroska_names_what_encrypts_it(look: Look, encrypted: bool, open: bool) -> None:
    encodings = element(0x6D80, element(0x6240, element(0x5035 if encrypted else 0x5034, b"x")))
    tracks = element(0x1654AE6B, element(0xAE, element(0xD7, b"\1") + encodings))
    segment = element(0x1549A966, b"info") + tracks + element(0x1F43B675, b"\x50\x35\x81\x00")
    content = element(0x1A45DFA3, b"header") + element(0x18538067, segment, open=open)
    assert look(content, "matroska,webm") == ("ContentEncryption" if encrypted else None)


@pytest.mark.parametrize(("control", "how"), [(0x10, None), (0xD0, "scrambled"), (0x90, "scrambled")])
def test_a_transport_stream_is_scrambled_where_most_of_its_packets_are(
    look: Look, control: int, how: str | None
) -> None:
    tables = b"G\x40\x00\x10" + bytes(184)  # these are never scrambled
    packets = b"".join(b"G\x01\x00" + bytes([control | n % 16]) + bytes(184) for n in range(100))
    assert look(tables * 10 + packets, "mpegts") == how


def test_other_formats_say_nothing(look: Look) -> None:
    assert look(film(b"encv"), "avi") is None


@pytest.mark.parametrize("format", [MP4, "mpegts", "matroska,webm"])
def test_damage_says_nothing_and_is_looked_at_for_no_long_time(look: Look, format: str) -> None:
    chance = random.Random(7)
    nested = b"".join(struct.pack(">I4s", 8, b"moov") for _ in range(200_000))
    for content in (b"", b"\0", bytes(5000), chance.randbytes(50_000), film(b"avc1")[:-30], nested):
        assert look(content, format) is None
