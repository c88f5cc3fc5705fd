"""Encryption check: whether a media file's own structure says that its pictures or sound are encrypted. Blocking.

MP4: a sample entry of ISO/IEC 23001-7 (encv, enca, enct) or of FairPlay (drmi, drms). MPEG-TS: ISO/IEC 13818-1's
transport_scrambling_control. Matroska and WebM: ContentEncryption of RFC 9559. Damage is none of this check's business.
"""

import os
import struct
from collections.abc import Callable, Iterator

PROTECTED = {b"encv": "CENC", b"enca": "CENC", b"enct": "CENC", b"drmi": "FairPlay", b"drms": "FairPlay"}
INTO = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
MOST_BOXES, LARGEST_STSD = 20_000, 1 << 16
PACKET, PACKETS, SYNC = 188, 4000, 0x47
SEGMENT, TRACKS, TRACK = 0x18538067, 0x1654AE6B, 0xAE
ENCODINGS, ENCODING, ENCRYPTION, CLUSTER = 0x6D80, 0x6240, 0x5035, 0x1F43B675


def encryption(fd: int, format: str | None) -> str | None:
    """What encrypts the file in this format (as ffprobe names it), or in any; None where nothing says so."""
    looks = [look for name, look in LOOKS.items() if format is None or name in format.split(",")]
    size = os.fstat(fd).st_size
    return next((how for look in looks if (how := look(fd, size))), None)


def _mp4(fd: int, size: int) -> str | None:
    left = MOST_BOXES
    waiting = [(0, size)]
    while waiting:
        at, end = waiting.pop()
        while at + 8 <= end and left:
            left -= 1
            length, kind = struct.unpack(">I4s", os.pread(fd, 8, at).ljust(8, b"\0"))
            head = 8
            if length == 1:
                head, length = 16, int.from_bytes(os.pread(fd, 8, at + 8), "big")
            length = end - at if length == 0 else length
            if length < head:
                break
            if kind in INTO:
                waiting.append((at + head, min(at + length, end)))
            elif kind == b"stsd" and (found := _entry(os.pread(fd, min(length - head, LARGEST_STSD), at + head))):
                return found
            at += length
    return None


def _entry(content: bytes) -> str | None:
    """The protection that a sample description box has an entry of."""
    at = 8
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind in PROTECTED:
            return PROTECTED[kind]
        at += max(length, 8)
    return None


def _ts(fd: int, _: int) -> str | None:
    content = os.pread(fd, PACKET * PACKETS, 0)
    packets = [content[at : at + 4] for at in range(0, len(content) - 3, PACKET)]
    whole = sum(1 for packet in packets if packet[0] == SYNC)
    scrambled = sum(1 for packet in packets if packet[0] == SYNC and packet[3] & 0x10 and packet[3] >> 6)
    return "scrambled" if whole * 2 > len(packets) and scrambled * 2 > whole else None


def _matroska(fd: int, size: int) -> str | None:
    left = MOST_BOXES
    waiting = [(0, size)]
    while waiting and left:
        at, end = waiting.pop()
        for id, start, stop in _elements(fd, at, end):
            left -= 1
            if id == ENCRYPTION:
                return "ContentEncryption"
            if id in (SEGMENT, TRACKS, TRACK, ENCODINGS, ENCODING):
                waiting.append((start, stop))
            if id == CLUSTER or not left:
                break
    return None


def _elements(fd: int, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements there: id, where the content begins and ends; an unknown size lasts to the end."""
    while at < end:
        head = os.pread(fd, 12, at)
        width = 9 - head[0].bit_length() if head and head[0] else 0
        if not 1 <= width <= 4 or len(head) <= width or not head[width]:
            return
        digits = 9 - head[width].bit_length()
        told = head[width : width + digits]
        if len(told) < digits:
            return
        most = 128**digits - 1  # which also means that the size is not known
        length = int.from_bytes(told, "big") & most
        start = at + width + digits
        at = end if length == most else min(start + length, end)
        yield int.from_bytes(head[:width], "big"), start, at


LOOKS: dict[str, Callable[[int, int], str | None]] = {"mp4": _mp4, "mpegts": _ts, "matroska": _matroska}
