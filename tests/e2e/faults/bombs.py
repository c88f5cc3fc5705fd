"""Small inputs that are large to whoever takes them whole, and a server that says them as they are."""

import json
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.ffmpeg import made


class Speaker(ThreadingTCPServer):
    """Answers every request with the bytes that stand for its path, and hangs up."""

    daemon_threads = True

    def __init__(self, said: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.said = said

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Speaker)
        with suppress(OSError):  # who asked may have heard enough
            path = self.rfile.readline().split()[1].decode()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            self.wfile.write(self.server.said[path])


def answer(body: bytes, kind: str = "video/mp4", status: str = "200 OK") -> bytes:
    """An HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def png(side: int) -> bytes:
    """A picture of one colour, whose pixels take a thousand times its bytes."""
    rows = zlib.compressobj(9)
    pixels = b"".join(rows.compress(bytes(1 + 3 * side)) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_video(path: Path) -> Path:
    """A second of 8190 x 8190 pixels in 198 KB."""
    source = ["-f", "lavfi", "-i", "color=s=8190x8190:r=2:d=1.5", "-c:v", "libx264", "-preset", "ultrafast"]
    return made(path, *source, "-pix_fmt", "yuv420p")


def batch(megabytes: int) -> bytes:
    """Jobs for the far future, in a body of that size."""
    job = {"type": "sleep", "payload": {"marks": "x" * 16_000}, "runAt": "2099-01-01T00:00:00Z"}
    return json.dumps({"jobs": [job] * (megabytes * 62)}).encode()
