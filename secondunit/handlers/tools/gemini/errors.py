"""Error mapping of Gemini: what an HTTP error means: wait, try again, or give up; pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from secondunit.handlers.tools.gemini.transport import GeminiHttpError
from secondunit.handlers.tools.http_statuses import REFUSES_US, passing
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from secondunit.queue.sentences import say
from secondunit.queue.value import Value

UNTOLD_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=1)
# Daily quotas start anew at midnight in California: 7:00 UTC in summer, 8:00 in winter.
QUOTA_DAY_BEGINS = timedelta(hours=8)
LONGEST_WORDS = 500
ALSO_PASSING = (409, 499)  # ABORTED and CANCELLED
DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")


class ErrorVerdict(Value, frozen=True):
    """What to raise for the job; a Postponed also is the back-off of all. `trouble`: the configuration is wrong."""

    error: Transient | Deterministic | Postponed
    trouble: str | None = None


def judge(refused: GeminiHttpError, model: str, now: datetime, *, chosen: bool = False) -> ErrorVerdict:
    """What this refusal means for the job, for the others, and for the operator.

    `chosen`: a client named this model, so the operator need not know when it is the wrong one.
    """
    code, said = refused.code, words(refused)
    if code == 429:
        return ErrorVerdict(_quota(refused, model, now))
    if passing(code) or code in ALSO_PASSING:
        wait = told_wait(refused)
        return ErrorVerdict(Transient(f"Gemini failed ({code}): {said}", type="gemini_unavailable", delay=wait))
    if code == 413:
        return ErrorVerdict(Deterministic(f"Gemini finds the question too large: {said}", type="too_large"))
    if code in REFUSES_US or "API_KEY_INVALID" in reasons(refused):
        trouble = say("Gemini refused the key ({code}); set a valid GEMINI_API_KEY: {said}", code=code, said=said)
        return ErrorVerdict(Deterministic(str(trouble), type="gemini_key"), trouble)
    if code == 404:
        remedy = say("ask for another one, or for none" if chosen else "set GEMINI_MODEL to one it has")
        unknown = "Gemini does not know the model {model}; {remedy}: {said}"
        trouble, type = say(unknown, model=model, remedy=remedy, said=said), "gemini_model"
    else:
        trouble, type = say("Gemini refused the request ({code}): {said}", code=code, said=said), "gemini_refused"
    return ErrorVerdict(Deterministic(str(trouble), type=type), None if chosen else trouble)


def told_wait(refused: GeminiHttpError) -> timedelta | None:
    """The wait that the answer asks for: RetryInfo in its body, else the Retry-After header; at most a day."""
    for detail in _details(refused):
        match = DURATION.fullmatch(str(detail.get("retryDelay", "")))
        if match:
            return min(timedelta(seconds=float(match[1])), LONGEST_WAIT)
    return None if refused.retry_after is None else min(refused.retry_after, LONGEST_WAIT)


def words(refused: GeminiHttpError) -> str:
    """What Gemini said, for a person."""
    message = str(_error(refused).get("message") or "no message").strip()
    return " ".join(message.split())[:LONGEST_WORDS]


def reasons(refused: GeminiHttpError) -> set[str]:
    """The machine-readable reasons of the error."""
    return {str(detail["reason"]) for detail in _details(refused) if "reason" in detail}


def _quota(refused: GeminiHttpError, model: str, now: datetime) -> Postponed:
    if any("perday" in quota.lower() for quota in _quotas(refused)):
        wait = next_quota_day(now) - now
        return Postponed(f"quota_exhausted: Gemini's daily quota for {model} is used up", delay=wait)
    wait = told_wait(refused) or UNTOLD_WAIT
    return Postponed(f"rate_limited: Gemini asks for a pause of {wait.total_seconds():g} s for {model}", delay=wait)


def next_quota_day(now: datetime) -> datetime:
    """When Gemini's daily quotas are fresh again, at the latest."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0) + QUOTA_DAY_BEGINS
    return today if now < today else today + timedelta(days=1)


def _quotas(refused: GeminiHttpError) -> Iterator[str]:
    for detail in _details(refused):
        violations = detail.get("violations", ())
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, Mapping):
                yield str(violation.get("quotaId", ""))


def _details(refused: GeminiHttpError) -> Iterator[Mapping[str, Any]]:
    details = _error(refused).get("details", ())
    yield from (detail for detail in (details if isinstance(details, list) else ()) if isinstance(detail, Mapping))


def _error(refused: GeminiHttpError) -> Mapping[str, Any]:
    inner = refused.details.get("error", refused.details)
    return inner if isinstance(inner, Mapping) else {}
