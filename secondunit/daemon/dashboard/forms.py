"""Forms of our own pages, as they come in."""

from aiohttp import web
from multidict import MultiDict

from secondunit.daemon.http.transport.bodies.forms import pairs_of_form

LARGEST, MOST_FIELDS = 64 * 1024, 1200


async def form_of(request: web.Request) -> MultiDict[str]:
    """The fields of the form; one that names many jobs repeats."""
    return MultiDict(await pairs_of_form(request, LARGEST, MOST_FIELDS))
