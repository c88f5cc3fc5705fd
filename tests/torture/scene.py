"""Reads what is left when everything has ended: the database (read-only), the diary, the files."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.torture.evidence import Span

Row = dict[str, Any]
JSON_COLUMNS = ("payload", "result", "error", "runs", "notice", "bonds")
TIMES = ("at", "created_at", "started_at", "finished_at")


def database(path: Path) -> dict[str, Any]:
    """Jobs, events, steps and deliveries, times in seconds; and what an integrity check says."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return {
            "jobs": [job_of(row) for row in _rows(db, "select * from jobs order by seq")],
            "events": _rows(db, "select e.*, j.id as job_id from events e join jobs j on j.seq = e.job order by e.seq"),
            "steps": _rows(db, "select s.*, j.id as job_id from steps s join jobs j on j.seq = s.job"),
            "deliveries": _rows(
                db, "select d.*, j.id as job_id from deliveries d join jobs j on j.seq = d.job order by d.seq"
            ),
            "integrity": list(_unsound(db)),
        }


def diary(path: Path) -> Sequence[Row]:
    """The lines of the side-effect log, in order."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def lags(log: Path, lease: float) -> Iterator[Span]:
    """When the daemon says that its loop stood still or a heartbeat was written late.

    On a busy machine leases run out by that, at no fault of its.
    """
    for line in log.read_text(errors="replace").splitlines():
        if '"loop.lagged"' in line or '"lease.late"' in line:
            told = json.loads(line)
            at = datetime.fromisoformat(told["timestamp"]).timestamp()
            yield Span("lag", at - told.get("lag_seconds", told.get("seconds")) - lease, at + lease)


def whole(path: Path) -> str | None:
    """The digest of an output file whose last bytes say that it is whole; None if they don't."""
    content = path.read_bytes()
    digest = hashlib.sha256(content[:-32])
    return digest.hexdigest() if len(content) > 32 and content[-32:] == digest.digest() else None


def outputs(folder: Path) -> Mapping[str, str]:
    """Every output file with its digest."""
    return {str(path): whole(path) or "torn" for path in folder.glob("*.bin")}


def stray(folder: Path, work: Path, known: Sequence[Row]) -> Sequence[str]:
    """Files that nobody should find: anything staged, anything in a run's folder, outputs of no job."""
    named = {job["payload"].get("output") for job in known}
    found = [path for path in (folder / ".secondunit").rglob("*") if path.is_file()]
    found += list((folder / ".secondunit").glob("*")) if not found else []
    found += [path for path in folder.iterdir() if path.is_file() and str(path) not in named]
    found += [*work.glob("*/run-*"), *work.glob("*/kept")]
    return [str(path) for path in found]


def _rows(db: sqlite3.Connection, sql: str) -> list[Row]:
    return [read(dict(row)) for row in db.execute(sql)]


def read(row: Row) -> Row:
    """A row whose JSON is read and whose times are seconds."""
    for name in JSON_COLUMNS:
        if isinstance(row.get(name), str):
            row[name] = json.loads(row[name])
    for name in TIMES:
        if isinstance(row.get(name), int):
            row[name] /= 1e6
    return row


def job_of(row: Row) -> Row:
    """A row of `jobs`, read, whose error and runs are named."""
    error, runs = row["error"], row["runs"] or []
    row["error"] = dict(zip(("kind", "type", "message"), error, strict=True)) if error else None
    row["runs"] = [
        {"attempt": run[0], "epoch": run[1], "started_at": run[2] / 1e6, "finished_at": run[3] / 1e6, "outcome": run[4]}
        for run in runs
    ]
    return row


def parents(jobs: Sequence[Row]) -> dict[str, list[str]]:
    """What each job waits for as the database has it: a client whose answer was lost knows of no job of a batch."""
    return {job["id"]: job["bonds"][0] for job in jobs if job.get("bonds") and job["bonds"][0]}


def _unsound(db: sqlite3.Connection) -> Iterator[str]:
    for (verdict,) in db.execute("pragma integrity_check").fetchall():
        if verdict != "ok":
            yield verdict
    if broken := db.execute("pragma foreign_key_check").fetchall():
        yield f"{len(broken)} rows point nowhere"
    counted = set(map(tuple, db.execute("select type, status, n from counts where n > 0").fetchall()))
    there = set(map(tuple, db.execute("select type, status, count(*) from jobs group by type, status").fetchall()))
    if counted != there:
        yield f"the counts say {counted - there} where there is {there - counted}"
