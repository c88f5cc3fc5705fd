"""Resumption of yt-dlp downloads: only where what is there is of the very same file; else it starts over.

By itself yt-dlp asks for the rest of whatever has that address now, and of a stream for the pieces after those that it
has. So each download's requests go through here: what is there is gone on with under its strong ETag alone.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from yt_dlp.networking import Request, Response  # noqa: TID253 - loaded by the program only
from yt_dlp.networking.exceptions import HTTPError, TransportError  # noqa: TID253 - as above
from yt_dlp.utils import determine_protocol, parse_http_range  # noqa: TID253 - as above

from secondunit.handlers.tools.fetching.ytdlp.partial_download import (
    PartialDownload,
    Sidecar,
    Version,
    bare,
    digest,
    version_of,
)
from secondunit.handlers.tools.http_statuses import in_trouble

Send = Callable[[Request], Response]
QUERY = re.compile(r'\?[^\s"]*')


class Sender(Protocol):
    """Sends one download's requests."""

    def send(self, request: Request) -> Response:
        """As yt-dlp's own `urlopen`."""


class Resumption:
    """Stands between yt-dlp and `send`, which carries its requests out; downloads come one after the other."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._download: Sender | None = None

    @contextmanager
    def of(self, name: str, info: Mapping[str, Any]) -> Iterator[None]:
        """Judge what is left of the file `name`, and until the end of this what is asked for."""
        left = PartialDownload(name)
        self._download = _download(left, self._send, info)
        try:
            yield
        finally:
            self._download = None
            if not left.size:
                left.discard()

    def send(self, request: Request | str) -> Response:
        """The answer; what belongs to no download passes as it is."""
        asked = Request(request) if isinstance(request, str) else request
        return self._download.send(asked) if self._download else self._send(asked)


class FileRest:
    """The requests for a plain file, in one or, where a site wants that, in many ranges."""

    def __init__(self, left: PartialDownload, send: Send, url: str) -> None:
        self._left = left
        self._send = send
        self._of = digest(bare(url))
        self._answered = False
        sidecar = left.sidecar()
        self._version: Version | None = None
        if sidecar and sidecar.of == self._of and 0 < left.size < sidecar.version.length:
            self._version = sidecar.version
        else:
            left.discard()

    def send(self, request: Request) -> Response:
        """The answer, which is of the version of the bytes that are there, or is the whole of another."""
        start, end, _ = parse_http_range(request.headers.get("Range"))
        if not start:
            return self._begin(self._send(request))
        # Between ranges yt-dlp keeps its file open, and would add to it even what is no rest.
        bound = end is not None and self._answered
        known = self._version and self._version.strong and start == self._left.size
        if not bound and not known:
            return self._whole(request)
        response = self._rest(request, start)
        if response is not None and response.status == 206:
            return response
        if bound:
            self._left.discard()
            raise TransportError("the file became another one while it was downloaded")
        return self._begin(response) if response is not None else self._whole(request)

    def _rest(self, request: Request, start: int) -> Response | None:
        """What goes on where the bytes end, status 206, or the whole, 200; None if the answer is neither."""
        asked = request.copy()
        if self._version and self._version.strong:
            asked.headers["If-Range"] = self._version.mark
        try:
            response = self._send(asked)
        except HTTPError as error:
            if error.status != 416:
                raise
            error.close()
            return None
        begins = parse_http_range(response.headers.get("Content-Range"))[0]
        if response.status == 200 or (
            response.status == 206 and (begins, _version(response)) == (start, self._version)
        ):
            self._answered = True
            return response
        response.close()
        return None

    def _whole(self, request: Request) -> Response:
        return self._begin(self._send(_without(request, "Range")))

    def _begin(self, response: Response) -> Response:
        """Note the version, with what there was of another gone before."""
        self._left.discard()
        self._answered, self._version = True, _version(response)
        self._left.mark(self._of, self._version)
        return response


class StreamRest:
    """The requests for a stream in pieces; `listing` says which, None that yt-dlp asks for it first (HLS)."""

    def __init__(self, left: PartialDownload, send: Send, headers: Mapping[str, str], listing: str | None) -> None:
        self._left = left
        self._send = send
        self._headers = headers
        self._of = None if listing is None else self._judge(listing)

    def send(self, request: Request) -> Response:
        """The answer; a piece is always whole."""
        if self._of is None:
            return self._listing(request)
        # Keys are asked for in between; only what goes into the file is wanted as it lies.
        if request.headers.get("Accept-Encoding") != "identity":
            return self._send(request)
        start, end, _ = parse_http_range(request.headers.get("Range"))
        response = self._send(_without(request, "Range") if start and end is None else request)
        self._left.mark(self._of, _version(response), piece=request.url)
        return response

    def _listing(self, request: Request) -> Response:
        response = self._send(request)
        content = response.read()
        self._of = self._judge(f"{bare(response.url)}\n{QUERY.sub('', content.decode(errors='replace'))}")
        return Response(io.BytesIO(content), response.url, response.headers, response.status)

    def _judge(self, listing: str) -> str:
        """The digest of the list; what is there stays if it is by the same list and its latest piece is the same."""
        of, sidecar = digest(listing), self._left.sidecar()
        # A run that was killed while it put a piece into the part has another size, and maybe a wrong count.
        if sidecar and sidecar.of == of and 0 < sidecar.size == self._left.size and self._unchanged(sidecar):
            self._left.discard_pieces()
        else:
            self._left.discard()
        return of

    def _unchanged(self, sidecar: Sidecar) -> bool:
        asked = Request(sidecar.piece, headers={**self._headers, "Accept-Encoding": "identity", "Range": "bytes=0-0"})
        try:
            with self._send(asked) as response:
                return _version(response) == sidecar.version
        except HTTPError as error:
            if in_trouble(error.status):
                raise
            error.close()
            return False


def _download(left: PartialDownload, send: Send, info: Mapping[str, Any]) -> Sender | None:
    """What is downloaded in other ways always starts over."""
    headers, pieces = info.get("http_headers") or {}, info.get("fragments")
    match determine_protocol(info) if info.get("url") else None:
        case "http" | "https":
            return FileRest(left, send, info["url"])
        case "m3u8" | "m3u8_native":
            return StreamRest(left, send, headers, info.get("hls_media_playlist_data"))
        case "http_dash_segments" if isinstance(pieces, Sequence):
            return StreamRest(left, send, headers, _listed(info.get("fragment_base_url"), pieces))
    left.discard()
    return None


def _listed(base: str | None, pieces: Sequence[Mapping[str, Any]]) -> str:
    named = ((bare(piece.get("url") or piece["path"]), piece.get("duration")) for piece in pieces)
    return "\n".join((bare(base or ""), *(f"{name} {duration}" for name, duration in named)))


def _version(response: Response) -> Version | None:
    return version_of(response.status, response.headers)


def _without(request: Request, header: str) -> Request:
    copy = request.copy()
    copy.headers.pop(header, None)
    return copy
