"""Mending of damage that costs no pixel: a JPEG without its end, a PNG with bad or overlong metadata."""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image  # noqa: TID253 - part of the converter's program

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
END_OF_IMAGE = b"\xff\xd9"
LARGEST_FILE = 400 << 20
MOST_METADATA = 16 << 20  # of one text or profile of a PNG, unpacked
# Entropy-coded data that a decoder would take for pixels, were any missing; after the last pixel it is passed over.
FILLS = (bytes(1024), bytes.fromhex("a5") * 1024)
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")  # are needed for the pixels, though PNG calls them ancillary


def mended(path: Path) -> tuple[bytes, str] | None:
    """The file without its damage, and what was wrong with it; None where pixels may be missing."""
    with path.open("rb") as file:
        if not file.read(len(PNG)).startswith((PNG, JPEG)):
            return None
        file.seek(0)
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        return None
    return _bare(content) if content.startswith(PNG) else _ended(content)


def _ended(content: bytes) -> tuple[bytes, str] | None:
    """A JPEG with its end: whole if the same picture comes whatever stands where something could be missing."""
    whole = content.removesuffix(b"\xff")
    looks = set()
    for fill in FILLS:
        with Image.open(BytesIO(whole + fill + END_OF_IMAGE), formats=("JPEG",)) as image:
            looks.add(hashlib.sha256(image.tobytes()).digest())
    if len(looks) > 1:
        return None
    return whole + END_OF_IMAGE, "the file ends without the mark of a JPEG's end; all pixels are there"


def _bare(content: bytes) -> tuple[bytes, str] | None:
    """A PNG without texts, and without other ancillary chunks whose checksum is wrong, as libpng reads it."""
    kept, dropped = [PNG], []
    for name, data, checksum in _chunks(content):
        good = checksum == struct.pack(">I", zlib.crc32(name + data))
        broken = name[0] & 0x20 and not good and name not in PIXELS
        if name in TEXTS or broken or (name == b"iCCP" and _overlong(data)):
            dropped.append(name.decode("ascii", "replace"))
        else:
            kept.append(struct.pack(">I", len(data)) + name + data + checksum)
    if not dropped:
        return None
    return b"".join(kept), f"metadata that can't be read was left out ({', '.join(sorted(set(dropped)))})"


def _overlong(profile: bytes) -> bool:
    """Whether an iCCP chunk (name, 0, method, zlib data) unpacks to more than is read."""
    unpacker = zlib.decompressobj()
    unpacker.decompress(profile[profile.find(b"\0") + 2 :], MOST_METADATA)
    return bool(unpacker.unconsumed_tail)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name, data and checksum (PNG, third edition, 5.3), as far as they are whole."""
    at = len(PNG)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 8 + length
        if end + 4 > len(content):
            return
        yield content[at + 4 : at + 8], content[at + 8 : end], content[end : end + 4]
        at = end + 4
