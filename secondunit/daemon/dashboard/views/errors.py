"""Errors: what failed for good in a window, in groups of failures alike, and the query for the jobs of each."""

import re
from collections.abc import Sequence
from shlex import quote
from typing import get_args

from secondunit.daemon.dashboard.page import Shown, Visit
from secondunit.daemon.http.contract.sight.requests import Window, WindowQuery
from secondunit.queue.sight.fingerprint import ErrorGroup, masked

WINDOWS: Sequence[Window] = get_args(Window)
USUAL: Window = "24h"
MOST = 200
PARTS = re.compile(r"<\w+>|[\"\\]")  # between them a message is the same in the whole group, and a query may quote it
LEAST, LONGEST = 4, 200
PLAIN = re.compile(r"[\w.:-]+")


async def show(visit: Visit) -> Shown:
    """The groups of a window, perhaps of one type."""
    asked, type = visit.query.get("window"), visit.query.get("type") or None
    window: Window = next((one for one in WINDOWS if one == asked), USUAL)
    groups, truncated = await visit.api.answers.errors(WindowQuery(window=window).span)
    meant = [group for group in groups if type in (None, group.type)]
    values = {
        "windows": WINDOWS,
        "window": window,
        "types": sorted({group.type for group in groups} | ({type} if type else set())),
        "type": type,
        "rows": [(group, query_of(group)) for group in meant[:MOST]],
        "more": len(meant) - len(meant[:MOST]),
        "truncated": truncated,
    }
    command = f"secondunit errors --window {window}" + (f" --type {quote(type)}" if type else "")
    return Shown("errors.html", values, command, visit.link("/api/errors", window=window, type=type))


def query_of(group: ErrorGroup) -> str:
    """What finds the jobs of a group: its type, class and error, and the longest words that all its messages share."""
    error = group.error
    terms = [f"type:{group.type}", "status:failed", f"class:{error.kind}"]
    if PLAIN.fullmatch(error.type):
        terms.append(f"error:{error.type}")
    parts = (part.strip()[:LONGEST].strip() for part in PARTS.split(masked(error.message)))
    shared = max((part for part in parts if part in error.message), key=len, default="")
    if len(shared) >= LEAST:
        terms.append(f'"{shared}"')
    return " ".join(terms)
