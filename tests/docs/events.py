"""Page of the events: the messages of both streams, and the callbacks, each with its meaning and fields."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from secondunit.daemon.http.contract.responses import EventType
from secondunit.daemon.http.contract.trailtag_responses import STREAM_MESSAGES
from tests.docs.cells import cell, row

HEAD = """\
# Events

## Of all jobs

`GET /api/events` sends server-sent events without a name; the JSON of each has a `type`. Those with an id are kept
and come in one order; a reader that comes back with `Last-Event-ID` misses none. `?jobId=` and `?type=` choose among
them.
"""
LIFECYCLE: Mapping[str, str] = {
    "job:queued": "the job is on disk, or an ended one was queued again",
    "job:started": "a run of it began; `attempt` says which",
    "job:progress": "how far the run is; live only, without an id; a slow reader gets the newest",
    "job:retrying": "a run failed (`error`), and the job waits for the next, until `runAt`",
    "job:completed": "it ended with its result",
    "job:partial": "it ended, and a part of its result is missing; a retry looks for that part",
    "job:failed": "it ended without a result; `error` says why",
    "job:cancelled": "somebody cancelled it, and none of its processes is left",
    "reset": "the events that the reader missed are no longer kept: `jobs` says how the jobs stand now",
}
OF_ONE_JOB: Mapping[str, str] = {
    "phase_update": "how far a run is; while the job waits, until when and why",
    "heartbeat": "the job is still there; sent every 5 seconds",
    "partial_locations": "places: first those that are known, then each as it is found",
    "completed": "the job has ended with a result; the stream ends",
    "error": "the job has failed or was cancelled; the stream ends",
}
CALLBACKS: Mapping[str, str] = {
    "jobEnded": "a job with a `callback` has ended",
    "batchEnded": "the last job of a batch with a `callback` has ended",
}


def told(document: Mapping[str, Any]) -> Iterator[tuple[set[str], set[str]]]:
    """What there is of each kind, and what has a meaning here."""
    yield {*get_args(EventType), "reset"}, set(LIFECYCLE)
    yield set(STREAM_MESSAGES), set(OF_ONE_JOB)
    yield set(document["webhooks"]), set(CALLBACKS)


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    schemas = document["components"]["schemas"]
    lines = [HEAD, row("type", "meaning"), row("---", "---")]
    lines += [row(f"`{name}`", cell(text)) for name, text in LIFECYCLE.items()]
    lines += ["", f"Fields: {_fields(schemas['Message'])}. `error` and `runAt` are there where there is one.", ""]
    lines += [
        "## Of one job",
        "",
        "`GET /api/jobs/{id}/stream` names its events, as TrailTag's clients know them, and ends with the job.",
        "",
    ]
    lines += [row("event", "meaning", "fields"), row("---", "---", "---")]
    for name, text in OF_ONE_JOB.items():
        lines.append(row(f"`{name}`", cell(text), _fields(schemas[STREAM_MESSAGES[name].__name__])))
    lines += ["", "## Callbacks", "", CALLED, "", row("callback", "meaning", "fields"), row("---", "---", "---")]
    for name, text in CALLBACKS.items():
        lines.append(row(f"`{name}`", cell(text), _fields(schemas[name[0].upper() + name[1:]])))
    headers = document["webhooks"]["jobEnded"]["post"]["parameters"]
    lines += ["", row("header", "meaning"), row("---", "---")]
    lines += [row(f"`{header['name']}`", cell(header["description"])) for header in headers]
    return "\n".join(lines) + "\n"


CALLED = """\
Asked for with `callback` when a job or batch is submitted, and sent by POST until a 2xx comes, for a day; 410 ends
it. Redirects are not followed."""


def _fields(schema: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in schema["properties"])
