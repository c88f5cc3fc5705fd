"""Timeline of one job: its runs, and between them each wait with its reason; pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from secondunit.queue.model import Job, Run, Status
from secondunit.queue.phases import Phase
from secondunit.queue.value import Value

Kind = Literal["submitted", "forgotten", "wait", "run", "running", "phase", "ended"]
SHORTEST = timedelta(milliseconds=50)


class Entry(Value, frozen=True):
    """Something that began `at` and took `span` (None: it goes on).

    `word` is a run's outcome, a wait's reason, a phase's name or the status at the end; `text` what was said of it.
    """

    kind: Kind
    at: datetime
    span: timedelta | None = None
    word: str = ""
    text: str = ""
    attempt: int = 0


def timeline(job: Job) -> Sequence[Entry]:
    """All that is known of the job's way, oldest first; waits that nobody would have noticed are left out."""
    return [entry for entry in _whole(job) if entry.kind != "wait" or entry.span is None or entry.span >= SHORTEST]


def _whole(job: Job) -> Iterator[Entry]:
    yield Entry("submitted", job.created_at)
    last: Run | None = None
    for run in job.runs:
        if last is None and job.first_started_at and run.started_at > job.first_started_at:
            yield Entry("forgotten", job.first_started_at)
        else:
            yield _wait(job, last, run.attempt, run.started_at)
        yield Entry("run", run.started_at, run.took, run.outcome, _said(run), run.attempt)
        yield from _phases(run.phases)
        last = run
    if job.status is Status.RUNNING and job.started_at:
        yield _wait(job, last, job.attempt, job.started_at)
        yield Entry("running", job.started_at, attempt=job.attempt)
        yield from _phases(job.phases)
    elif job.status is Status.QUEUED:
        yield _wait(job, last, job.attempt)
    elif job.finished_at:
        yield Entry("ended", job.finished_at, word=job.status.value)


def _wait(job: Job, last: Run | None, attempt: int, until: datetime | None = None) -> Entry:
    """The wait for this attempt, after the job's `last` run or its submission; it goes on without an `until`."""
    since = last.finished_at if last else job.created_at
    word, text = _why(last, attempt) if last else ("parents" if job.depends_on else "turn", "")
    return Entry("wait", since, max(until - since, timedelta(0)) if until else None, word, text)


def _phases(phases: Sequence[Phase]) -> Iterator[Entry]:
    return (Entry("phase", one.at, one.took, one.name) for one in phases)


def _said(run: Run) -> str:
    return run.error.message if run.error else run.why or ""


def _why(run: Run, next_attempt: int) -> tuple[str, str]:
    """Why the next run did not begin as this one was over."""
    if run.outcome == "failed":
        return ("backoff" if next_attempt > run.attempt else "again"), ""
    if run.outcome in ("completed", "partial", "cancelled"):
        return "again", ""
    return run.outcome, ""
