"""Audit notes: what a call changed, as its endpoint says it; the boundary stores them before it answers."""

from typing import NamedTuple

from aiohttp import web


class Note(NamedTuple):
    """What was changed; no `action`: the route's own word."""

    target: str | None
    detail: str | None
    action: str | None


NOTES = web.RequestKey("what it changed", list[Note])


def note(request: web.Request, target: str | None = None, detail: str | None = None, action: str | None = None) -> None:
    """This call changed something."""
    request.setdefault(NOTES, []).append(Note(target, detail, action))
