"""Scan for secrets: every place where a daemon leaves bytes, or tells something, is searched for what it was told."""

import mmap
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SECRETS = (
    "API_KEY", "INTERNAL_API_KEY", "GEMINI_API_KEY", "CALLBACK_SECRET", "ALERT_URL", "SENTRY_DSN", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
)  # fmt: skip
SHORTEST = 12  # what is shorter may stand anywhere by chance
CALLS = (
    "/health", "/metrics", "/api/openapi.json", "/docs", "/", "/api/jobs?limit=1000", "/api/errors", "/api/stats",
    "/api/types", "/api/audit", "/api/keys", "/api/admin/stuck", "/api/admin/check", "/api/admin/doctor", "/api/system",
    "/api/backend", "/api/schedules", "/api/batches", "/api/nothing", "/jobs", "/batches", "/errors", "/types",
    "/audit", "/keys", "/schedules", "/backend", "/system", "/system/checks", "/submit",
)  # fmt: skip


def secrets_of(environ: Mapping[str, str]) -> list[bytes]:
    """The secrets among a daemon's settings."""
    return [value.encode() for name in SECRETS if len(value := environ.get(name, "")) >= SHORTEST]


def kept(pid: int | None, *places: Path) -> Iterator[tuple[str, bytes | mmap.mmap]]:
    """What lies beneath these (database, its log, uploads, scratch, cores), and in the files of the process itself."""
    for place in places:
        for file in [place] if place.is_file() else place.rglob("*"):
            if file.is_file() and not file.is_symlink() and file.stat().st_size:
                with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    yield str(file), content
    for name in ("environ", "cmdline") if pid else ():
        yield f"/proc/PID/{name}", Path(f"/proc/{pid}/{name}").read_bytes()


def found(secrets: Sequence[bytes], places: Iterator[tuple[str, Any]]) -> list[tuple[str, bytes]]:
    """Where which of them stands."""
    return [(where, secret) for where, content in places for secret in secrets if content.find(secret) >= 0]


def told(daemon: Any, job_ids: list[str]) -> Iterator[tuple[str, bytes]]:
    """What the API says of itself, of these jobs, of what they wrote, and of all that happened so far."""
    paths = [*CALLS]
    for id in job_ids:
        paths += [f"/api/jobs/{id}{more}" for more in ("", "/deliveries", "/explain", "/artifacts", "/artifacts/log")]
        paths.append(f"/jobs/{id}")
    for path in paths:
        yield path, str(daemon.call("GET", path).body).encode()
    yield "/api/events", events(daemon.port)


def events(port: int) -> bytes:
    """All events that are kept, as a reader that comes back after the very first gets them."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
        line.sendall(b"GET /api/events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        generation = line.recv(65536).partition(b"id: ")[2].partition(b"-")[0]
    content = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
        line.sendall(b"GET /api/events HTTP/1.0\r\nHost: localhost\r\nLast-Event-ID: %b-0\r\n\r\n" % generation)
        try:
            while more := line.recv(65536):
                content += more
        except TimeoutError:
            return content
    return content
