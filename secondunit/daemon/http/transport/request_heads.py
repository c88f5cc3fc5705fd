"""Request heads: what two readers could take in two ways is refused before anybody acts on it."""

import re

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.http_parser import RawRequestMessage

from secondunit.daemon.http.transport.problems import TwoHeaders, UnknownExpectation

# aiohttp sees to those of HTTP itself: Host, Content-Type, Content-Length, Transfer-Encoding.
ONCE = (
    "Idempotency-Key", "Authorization", "X-API-Key", "Origin", "Last-Event-ID", "Range", "If-Range", "Sec-Fetch-Site",
)  # fmt: skip
EXPECTATION = web.RequestKey("expectation", str)
LONGEST_HOST = 300
HIGHEST_PORT = 65535
# Nobody's name and password may stand before a host: what one reader takes for these is the host to another.
AUTHORITY = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_.-]{1,253}?)\.?)(?::(?P<port>[0-9]{0,5}))?",
    re.ASCII | re.IGNORECASE,
)
WHOLE = re.compile(r"https?://([^/?#]{0,300})(?:[/?#].*)?", re.ASCII | re.IGNORECASE | re.DOTALL)


def form_fault(message: RawRequestMessage) -> str:
    """Why this head is none of a request that is served here; nothing where it is one."""
    if message.version not in (HttpVersion10, HttpVersion11):
        return "its version is none of HTTP/1.0 and HTTP/1.1"
    if message.chunked and not _is_plainly_chunked(message):
        return "its Transfer-Encoding is another than chunked in HTTP/1.1; pack a body by its Content-Encoding"
    if message.method == hdrs.METH_CONNECT:
        return "it wants a tunnel, and this is no proxy"
    if message.url.scheme not in ("", "http", "https"):
        return "its target is no address of this kind of server"
    return ""


def check_head(request: web.Request) -> None:
    """Raise for a header that has two values and can have one, and for an expectation that is not known."""
    headers = request.headers
    for name in ONCE:
        if name in headers and len(set(headers.getall(name))) > 1:
            raise TwoHeaders(f"{name} stands in the request with two values; send one")
    if request.get(EXPECTATION, "100-continue") != "100-continue":
        raise UnknownExpectation("the only expectation that is met is 100-continue")


def authority_of(request: web.Request) -> str:
    """Host and port that are meant: the target's where it is a whole address, whatever Host says (RFC 9112, 3.2.2)."""
    if request.raw_path.startswith("/") or request.method == "CONNECT":
        return request.headers.get("Host", "")
    whole = WHOLE.fullmatch(request.raw_path)
    return whole[1] if whole else ""


def host_in(authority: str) -> str | None:
    """The name in lower case, or the address without its brackets; None for what is no authority to the letter."""
    found = AUTHORITY.fullmatch(authority) if len(authority) <= LONGEST_HOST else None
    if found is None or int(found["port"] or 0) > HIGHEST_PORT:
        return None
    return (found["address"] or found["name"]).lower()


def _is_plainly_chunked(message: RawRequestMessage) -> bool:
    """Whether its chunks are the body itself: a coding named before `chunked` nobody here undoes (RFC 9112, 6)."""
    named = ",".join(message.headers.getall(hdrs.TRANSFER_ENCODING, ()))
    return named.strip().lower() == "chunked" and message.version == HttpVersion11
