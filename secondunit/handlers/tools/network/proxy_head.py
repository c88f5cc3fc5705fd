"""HTTP message heads as the egress proxy reads and rewrites them (RFC 9112): strict with clients only."""

import base64
import binascii
import re

from yarl import URL

from secondunit.queue.value import Value

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
END = b"\r\n\r\n"
# Belong to one connection, not to the message; the proxy speaks for itself on each of its two.
OF_THE_CONNECTION = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate te upgrade".split()
)


class BadHead(ValueError):
    """A request that the proxy does not serve: `status` to answer with, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class ProxyRequest(Value, frozen=True):
    """A request to the proxy: where to, with which token, and what to send there (`head` is empty for a tunnel)."""

    host: str
    port: int
    token: str | None
    head: bytes
    body: int

    @property
    def tunnel(self) -> bool:
        """Whether CONNECT was asked for."""
        return not self.head


def parse_request(raw: bytes) -> ProxyRequest:
    """The request whose head is `raw`, up to and with its blank line; BadHead when it is none that we serve."""
    request, *lines = raw.removesuffix(END).split(b"\r\n")
    try:
        method, target, version = request.split(b" ")
    except ValueError:
        raise BadHead(400, "not a request line") from None
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not TOKEN.fullmatch(method):
        raise BadHead(400, "not a request line")
    fields = [_field(line) for line in lines]
    token = _token(fields)
    if method == b"CONNECT":
        host, port = _authority(target)
        return ProxyRequest(host, port, token, b"", 0)
    url = _url(target)
    body = _body_length(fields)
    own = [(name, value) for name, value in fields if name.lower() not in OF_THE_CONNECTION and name.lower() != b"host"]
    own += [(b"Host", url.authority.encode()), (b"Connection", b"close")]
    head = b"\r\n".join(
        (method + b" " + url.raw_path_qs.encode() + b" HTTP/1.1", *(name + b": " + value for name, value in own))
    )
    return ProxyRequest(url.host or "", url.port or 80, token, head + END, body)


def close_after(raw: bytes) -> bytes:
    """The head of an answer, saying to the client that the connection ends with it."""
    status, *lines = raw.removesuffix(END).split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in OF_THE_CONNECTION]
    return b"\r\n".join((status, *kept, b"Connection: close")) + END


def is_interim(raw: bytes) -> bool:
    """Whether the head is that of a 1xx answer, after which another comes."""
    return raw[:5] == b"HTTP/" and raw.partition(b" ")[2][:1] == b"1"


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.fullmatch(name) or any(byte in value for byte in b"\r\n\0"):
        raise BadHead(400, "not a header line")
    return name, value.strip()


def _token(fields: list[tuple[bytes, bytes]]) -> str | None:
    """The password of a Basic Proxy-Authorization."""
    given = next((value for name, value in fields if name.lower() == b"proxy-authorization"), b"")
    scheme, _, credentials = given.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


def _authority(target: bytes) -> tuple[str, int]:
    try:
        url = URL("//" + target.decode("ascii"))
        host, port = url.host, url.explicit_port
    except ValueError:
        raise BadHead(400, "not an authority") from None
    if not host or not port or url.raw_user is not None or url.raw_path not in ("", "/"):
        raise BadHead(400, "not an authority")
    return host, port


def _url(target: bytes) -> URL:
    try:
        url = URL(target.decode("ascii"), encoded=True)
        known = url.scheme == "http" and url.host and (url.port or 0) > 0
    except ValueError:
        raise BadHead(400, "not a URL") from None
    if not known:
        raise BadHead(400, "the proxy fetches http:// URLs, and tunnels the others")
    return url


def _body_length(fields: list[tuple[bytes, bytes]]) -> int:
    if any(name.lower() == b"transfer-encoding" for name, _ in fields):
        raise BadHead(411, "say the body's length")
    lengths = {value for name, value in fields if name.lower() == b"content-length"} or {b"0"}
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > 18:
        raise BadHead(400, "not a length")
    return int(length)
