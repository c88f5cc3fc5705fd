"""Schedules: when each comes next and how its last job did; run one now, pause it, resume it."""

from aiohttp import web

from secondunit.daemon.automation.schedule_rules import BY_HAND
from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.page import Done, Shown, Visit
from secondunit.daemon.http.transport.audit import note
from secondunit.queue.errors import BadPayload, FieldError

NEXT = 5


async def show(visit: Visit) -> Shown:
    """All schedules of the file."""
    schedules = visit.api.schedules
    values = {
        "rows": [(one, schedules.upcoming(one.state.name, NEXT)) for one in await schedules.all()],
        "by_hand": BY_HAND,
    }
    return Shown("schedules.html", values, "secondunit schedule list", "/api/schedules")


async def change(visit: Visit, request: web.Request) -> Done:
    """Run a schedule now, pause it or resume it."""
    form, schedules = await form_of(request), visit.api.schedules
    do, name = form.get("do", ""), form.get("name", "")
    match do:
        case "run":
            job = await schedules.run_now(name)
            note(request, name, job.id, action="schedule run")
        case "pause":
            await schedules.pause(name)
            note(request, name, action="schedule pause")
        case "resume":
            await schedules.resume(name)
            note(request, name, action="schedule resume")
        case _:
            raise BadPayload(FieldError("do", "should be run, pause or resume"))
    return Done("/schedules", visit.texts(f"schedules.did.{do}", name=name))
