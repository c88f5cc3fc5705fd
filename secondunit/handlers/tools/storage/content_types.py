"""Content types (MIME) by file names; what a browser might run as a page is data."""

import mimetypes
from pathlib import PurePosixPath

CONTENT_TYPES = {
    ".avif": "image/avif",
    ".json": "application/json",
    ".log": "text/plain; charset=utf-8",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mkv": "video/x-matroska",
    ".mp4": "video/mp4",
    ".ts": "video/mp2t",
    ".vtt": "text/vtt; charset=utf-8",
    ".webp": "image/webp",
}
SHOWN = ("audio/", "image/", "video/")
ACTIVE = "image/svg+xml"
OTHER = "application/octet-stream"


def content_type_of(name: str) -> str:
    """The content type of a file of this name."""
    suffix = PurePosixPath(name).suffix.lower()
    guessed = CONTENT_TYPES.get(suffix) or mimetypes.types_map.get(suffix, OTHER)
    return guessed if suffix in CONTENT_TYPES or (guessed.startswith(SHOWN) and guessed != ACTIVE) else OTHER
