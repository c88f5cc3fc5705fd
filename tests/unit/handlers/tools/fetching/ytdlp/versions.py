"""Two versions of a file, and a server that counts what is fetched of them."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from secondunit.testing.fakes.website import Served, Site

OLD, NEW = bytes(range(256)) * 8192, bytes(reversed(range(256))) * 8192
CUT = len(OLD) * 6 // 10
PIECES = 5
SIZE = len(OLD) // PIECES
STREAMED, RESTREAMED = OLD[: SIZE * PIECES], NEW[: SIZE * PIECES]


@dataclass
class Counted:
    """A file that remembers its answers: the status, and the range that was asked for."""

    served: Served
    seen: list[tuple[int, str | None]] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = await self.served(request)
        self.seen.append((response.status, request.headers.get("Range")))
        return response


def offer(site: Site, path: str, content: bytes, etag: str | None = '"v1"', **how: Any) -> Counted:
    """Put this file in the place of what was there."""
    counted = Counted(site.file(path, content, etag=etag, kind="video/mp4"))
    for name, value in how.items():
        setattr(counted.served, name, value)
    site.routes[path] = counted
    return counted


def playlist(seconds: int = 2) -> str:
    pieces = "".join(f"#EXTINF:{seconds},\npiece{at}.ts?sig=1\n" for at in range(PIECES))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{pieces}#EXT-X-ENDLIST\n"


MANIFEST = """<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10S"><Period>
<AdaptationSet mimeType="video/mp4"><Representation id="v" bandwidth="9000" codecs="avc1.4d401e,mp4a.40.2">
<BaseURL>BASE/</BaseURL><SegmentList duration="2" timescale="1">PIECES</SegmentList>
</Representation></AdaptationSet></Period></MPD>"""


def stream(site: Site, kind: str, content: bytes, etag: str | None, seconds: int = 2) -> list[Counted]:
    """A stream, as HLS or as DASH, whose pieces have ETags of this beginning."""
    if kind == "hls":
        site.says("/stream.m3u8", text=playlist(seconds), kind="application/vnd.apple.mpegurl")
    else:
        pieces = "".join(f'<SegmentURL media="piece{at}.ts?s={seconds}"/>' for at in range(PIECES))
        text = MANIFEST.replace("BASE", site.base).replace("PIECES", pieces).replace('="2"', f'="{seconds}"')
        site.says("/stream.mpd", text=text, kind="application/dash+xml")
    tags = [None if etag is None else f'{etag}-{at}"' for at in range(PIECES)]
    return [offer(site, f"/piece{at}.ts", content[at * SIZE : (at + 1) * SIZE], tags[at]) for at in range(PIECES)]
