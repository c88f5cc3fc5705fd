"""Boxes: the daemons that share the queue, what each runs and could run; drain one, resume it."""

from aiohttp import web

from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.page import Done, Shown, Visit
from secondunit.daemon.http.transport.audit import note
from secondunit.queue.errors import BadPayload, FieldError


async def show(visit: Visit) -> Shown:
    """All boxes."""
    return Shown("box/boxes.html", {"boxes": await visit.api.answers.boxes()}, "secondunit boxes", "/api/boxes")


async def change(visit: Visit, request: web.Request) -> Done:
    """Drain a box, or resume it."""
    form, boxes = await form_of(request), visit.api.answers.boxes
    do, name = form.get("do", ""), form.get("name", "")
    match do:
        case "drain":
            await boxes.drain(name)
        case "resume":
            await boxes.resume(name)
        case _:
            raise BadPayload(FieldError("do", "should be drain or resume"))
    note(request, name, action=f"box {do}")
    return Done("/boxes", visit.texts(f"boxes.did.{do}", name=name))
