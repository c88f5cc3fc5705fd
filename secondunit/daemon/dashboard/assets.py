"""Static files of the pages: read and packed once, and named by their content, so that browsers keep them."""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from secondunit.queue.value import Value

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Asset(Value, frozen=True):
    """One file: what it is, as it is and packed; `mark` changes with it."""

    content_type: str
    content: bytes
    packed: bytes
    mark: str


def read_assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """All of them, by their path; blocks."""
    return {
        file.relative_to(folder).as_posix(): _read(file) for file in sorted(folder.rglob("*")) if file.suffix in TYPES
    }


def _read(file: Path) -> Asset:
    content = file.read_bytes()
    packed = gzip.compress(content, 9, mtime=0)
    return Asset(TYPES[file.suffix], content, packed, hashlib.sha256(content).hexdigest()[:12])
