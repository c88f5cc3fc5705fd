"""Postponements: what a run was put back for, by the word that its reason begins with, and whether that holds. Pure."""

from typing import Literal

from secondunit.queue.model import Run

Cause = Literal["budget", "disk", "provider", "backoff"]
BUDGETS = frozenset({"budget_used_up", "quota_exhausted"})
ROOM = "no_room"  # admission's word: it looks for room, and wakes who waits for it
DISKS = frozenset({"disk_full", ROOM})
PROVIDERS = ("_down", "_limited", "_paused")


def cause(run: Run) -> Cause:
    """What it was postponed for."""
    word = _word(run)
    if word in BUDGETS:
        return "budget"
    if word in DISKS:
        return "disk"
    return "provider" if word.endswith(PROVIDERS) else "backoff"


def woken(run: Run) -> bool:
    """Whether it starts as soon as what it lacked is there, and its time is only the latest."""
    return _word(run) == ROOM


def still(cause: Cause, trouble: str | None, used_up: str | None) -> str:
    """The template that says whether what it was postponed for holds now."""
    if cause == "provider" and trouble is None:
        return "{why}; the way is free again, but it waits for its time; {when}"
    if cause == "budget" and used_up is None:
        return "{why}; the budget has room again, but it waits for its time; {when}"
    return "{why}; {when}"


def _word(run: Run) -> str:
    return (run.why or "").partition(":")[0]
