"""Job types: what runs and waits of each, and its limits; pause, resume, change the limit."""

from aiohttp import web

from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.page import Done, Shown, Visit
from secondunit.daemon.http.contract import requests
from secondunit.daemon.http.contract.sight import requests as sight_requests
from secondunit.daemon.http.transport.audit import note
from secondunit.queue.errors import BadPayload, FieldError


async def show(visit: Visit) -> Shown:
    """All types."""
    return Shown("types.html", {"types": await visit.api.answers.types()}, "secondunit types", "/api/types")


async def change(visit: Visit, request: web.Request) -> Done:
    """Pause a type, resume it, or change how many of it run at once."""
    form, type, queue = await form_of(request), visit.parts["type"], visit.api.queue
    do, wanted = form.get("do"), form.get("concurrency", "").strip()
    match do:
        case "pause":
            await queue.pause(type)
            note(request, type, action="pause")
        case "resume":
            await queue.resume(type)
            note(request, type, action="resume")
        case "limit":
            ask = requests.taken(sight_requests.LimitAsk, {"concurrency": _number(wanted)})
            await queue.limit(type, ask.concurrency)
            note(request, type, "default" if ask.concurrency is None else str(ask.concurrency), action="limit")
        case _:
            raise BadPayload(FieldError("do", "should be pause, resume or limit"))
    return Done("/types", visit.texts(f"types.did.{do}", type=type, n=wanted or visit.texts("types.default")))


def _number(text: str) -> int | str | None:
    """What was typed; nothing is the setting's own, and what is no number is refused by its model."""
    return int(text) if text.isascii() and text.isdigit() else text or None
