"""Calls of the HTTP API as values: one function a verb."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart body; `progress` is told the bytes that were sent and all there are.

    `faults` are what kept it from being sent on this side: asking again is no help.
    """

    path: Path
    progress: Progress | None = None
    faults: list[Exception] = field(default_factory=list, compare=False)

    def frame(self, boundary: str) -> tuple[bytes, bytes]:
        """What stands before the file's bytes in the body, and what behind them."""
        name = quote(self.path.name, safe=" .-_()")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="video"; filename="{name}"\r\n'
        return f"{head}Content-Type: application/octet-stream\r\n\r\n".encode(), f"\r\n--{boundary}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file that is a whole body."""

    path: Path
    progress: Progress | None = None
    faults: list[Exception] = field(default_factory=list, compare=False)

    def frame(self, boundary: str) -> tuple[bytes, bytes]:  # noqa: ARG002  as an upload's
        """Nothing stands around it."""
        return b"", b""


@contextmanager
def sending(upload: Upload | RawFile) -> Iterator[None]:
    """Within it the file is read and told of; what fails there is kept as a fault of this side."""
    try:
        yield
    except Exception as error:
        upload.faults.append(error)
        raise


@dataclass(frozen=True, slots=True)
class Call:
    """One request; sending it twice must do no more than sending it once. It may be silent for `waits` seconds more."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    upload: Upload | RawFile | None = None
    waits: float = 0

    def prepared(self) -> None:
        """Raise the OSError that keeps its file from being read, before anything is sent; asking again is no help."""
        if self.upload is not None:
            self.upload.path.open("rb").close()

    def fault(self) -> Exception | None:
        """What kept its file from being sent on this side."""
        return self.upload.faults[0] if self.upload and self.upload.faults else None

    def content(self) -> bytes | None:
        """Its body, but for an upload's: JSON, or bytes as they are."""
        if isinstance(self.body, bytes):
            return self.body
        return None if self.body is None else json.dumps(self.body).encode()

    def content_type(self, boundary: str) -> str | None:
        """What its body is."""
        if isinstance(self.upload, Upload):
            return f"multipart/form-data; boundary={boundary}"
        if self.upload or isinstance(self.body, bytes):
            return "application/octet-stream"
        return None if self.body is None else "application/json"


def base(url: str) -> str:
    """The daemon's address without a slash at its end; ValueError for what can't be one."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url} begins with neither http:// nor https://")
    return url.rstrip("/")


def submit(job: Mapping[str, Any], key: str) -> Call:
    """One job, accepted once under this idempotency key."""
    return Call("POST", "/api/jobs", job, {"Idempotency-Key": key})


def submit_batch(batch: Mapping[str, Any], key: str) -> Call:
    """Up to 1,000 jobs, all or none."""
    return Call("POST", "/api/jobs/batch", batch, {"Idempotency-Key": key})


def get(job_id: str) -> Call:
    """A job as it stands."""
    return Call("GET", _job(job_id))


def find(query: Mapping[str, Any]) -> Call:
    """A page of jobs, newest first."""
    return Call("GET", "/api/jobs" + _query(query))


def cancel(job_id: str) -> Call:
    """A job's end."""
    return Call("DELETE", _job(job_id))


def retry(job_id: str) -> Call:
    """An ended job, queued again."""
    return Call("POST", _job(job_id) + "/retry")


def explain(job_id: str) -> Call:
    """Why a job is where it is."""
    return Call("GET", _job(job_id) + "/explain")


def boxes() -> Call:
    """The daemons that share the queue."""
    return Call("GET", "/api/boxes")


def events(query: Mapping[str, Any], last_id: str) -> Call:
    """The stream of events, after the one with this id."""
    return Call("GET", "/api/events" + _query(query), headers={"Last-Event-ID": last_id} if last_id else {})


def analyze(source: Upload | str) -> Call:
    """An analysis of a file or of what is at an address; the same one again joins the first."""
    at_once = {"Prefer": "respond-async"}
    if isinstance(source, Upload):
        return Call("POST", "/analyze", headers=at_once, upload=source)
    return Call("POST", "/analyze-from-url", {"video_url": source}, at_once)


def _job(job_id: str) -> str:
    return f"/api/jobs/{quote(job_id, safe='')}"


def _query(query: Mapping[str, Any]) -> str:
    lists = {name: [value] if isinstance(value, str) else value for name, value in query.items() if value is not None}
    given = {name: value if isinstance(value, Sequence) else [value] for name, value in lists.items()}
    return "?" + urlencode(given, doseq=True) if given else ""
