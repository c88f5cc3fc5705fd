"""Partial yt-dlp download and its sidecar (ETag, length), which says of which version of the file it is."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yt_dlp.utils import parse_http_range  # noqa: TID253 - loaded by the program only

from secondunit.handlers.tools.storage.partial_file import STRONG_ETAG, machine_boot


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a file from another; only a `strong` mark promises the same bytes (RFC 9110, 8.8.1)."""

    mark: str
    strong: bool
    length: int


@dataclass(frozen=True, slots=True)
class Sidecar:
    """`of` is a digest of what is downloaded, `version` that of the file, or of the latest `piece` of a stream.

    `size` is what of a stream was there before that piece.
    """

    of: str
    version: Version
    piece: str = ""
    size: int = 0


class PartialDownload:
    """yt-dlp's own files for the download `name`, and the note `NAME.version`, which is atomically exchanged."""

    def __init__(self, name: str) -> None:
        self._part = Path(f"{name}.part")
        self._state = Path(f"{name}.ytdl")
        self._sidecar = Path(f"{name}.version")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self._part.stat().st_size if self._part.exists() else 0

    def sidecar(self) -> Sidecar | None:
        """Whose bytes these are; None when that is not known for certain."""
        try:
            told = json.loads(self._sidecar.read_text())
            sidecar, boot = Sidecar(**{**told["note"], "version": Version(**told["note"]["version"])}), told["boot"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        # After a power cut a part may have holes where its bytes were: only this life of the machine trusts its own.
        return sidecar if boot == machine_boot() else None

    def mark(self, of: str, version: Version | None, *, piece: str = "") -> None:
        """Note whose bytes come now; what has no strong mark gets no note, so that no later run goes on with it."""
        if version is None or not version.strong:
            self._sidecar.unlink(missing_ok=True)
            return
        draft = self._sidecar.with_name(f"{self._sidecar.name}.new")
        draft.write_text(json.dumps({"note": asdict(Sidecar(of, version, piece, self.size)), "boot": machine_boot()}))
        draft.replace(self._sidecar)

    def discard(self) -> None:
        """Have yt-dlp start over."""
        for file in (self._part, self._state, self._sidecar):
            file.unlink(missing_ok=True)
        self.discard_pieces()

    def discard_pieces(self) -> None:
        """Remove single pieces of a stream that were not yet put into the part."""
        for file in self._part.parent.iterdir():
            if file.name.startswith(f"{self._part.name}-Frag"):
                file.unlink()


def version_of(status: int, headers: Mapping[str, str]) -> Version | None:
    """Of which version an answer with this status and these headers is; None if it does not say how long that is."""
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        return None
    whole = headers.get("Content-Length", "").strip()
    length = parse_http_range(headers.get("Content-Range"))[2] if status == 206 else whole.isdecimal() and int(whole)
    if not length:
        return None
    etag = headers.get("ETag", "").strip()
    if STRONG_ETAG.fullmatch(etag):
        return Version(etag, strong=True, length=length)
    return Version(f"{etag} {headers.get('Last-Modified', '')}", strong=False, length=length)


def bare(url: str) -> str:
    """A URL without its query, where signatures stand that are others at every extraction."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def digest(*words: Any) -> str:
    """One short word for all these."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
