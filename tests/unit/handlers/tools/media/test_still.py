"""Pictures by their first bytes."""

import os
from pathlib import Path

import pytest

from secondunit.handlers.tools.media.still import still


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe1....Exif", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"RIFF....WEBPVP8 ", "WebP"),
        (b"RIFF....AVI LIST", None),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\0\0\0\x18ftypisom", None),
        (b"II*\0", "TIFF"),
        (b"", None),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(tmp_path: Path, head: bytes, kind: str | None) -> None:
    (tmp_path / "it").write_bytes(head)
    fd = os.open(tmp_path / "it", os.O_RDONLY)
    try:
        assert still(fd) == kind
    finally:
        os.close(fd)
