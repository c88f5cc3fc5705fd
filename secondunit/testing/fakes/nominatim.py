"""Fake Nominatim server, a STAND-IN for tests and demos: it knows the places it was told, and fails as it is told.

Start it alone with `python -m secondunit.testing.fakes.nominatim --port N`; it then knows a few places of Taipei.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from secondunit.testing.fakes.listening import listening
from secondunit.testing.standalone import serve_standalone

LICENCE = "Data © OpenStreetMap contributors, ODbL 1.0. http://osm.org/copyright"
TAIPEI: Mapping[str, tuple[float, float]] = {
    "Taipei 101": (25.0339, 121.5645),
    "Shilin Night Market": (25.0880, 121.5240),
    "Longshan Temple": (25.0372, 121.4999),
    "Elephant Mountain": (25.0273, 121.5711),
    "Beitou Hot Springs": (25.1369, 121.5067),
}


@dataclass(slots=True)
class Nominatim:
    """Answers `search`: what a query begins with names the place, by `places` (latitude, longitude) or `hits`.

    `faults` holds, by the same beginnings, what to do with the next such queries before they are answered, and
    `script` the same for whatever is asked next: status:CODE, rate:SECONDS (429), rate (without Retry-After),
    slow:SECONDS, hang, close, malformed, html. A fault with a trailing `!` stays for good. `asked` holds every query
    in its order, `times` when it came (the loop's seconds), `agents` the user agents.
    """

    places: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(TAIPEI))
    hits: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    script: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self, port: int = 0, prefix: str = "") -> AsyncIterator[str]:
        """Serve on loopback, beneath a path if wanted; the URL for GEOCODER_URL, also in `url`."""
        app = web.Application()
        app.router.add_get(f"{prefix}/search", self._search)
        async with listening(app, port) as base:
            self.url = f"{base}{prefix}"
            yield self.url

    async def _search(self, request: web.Request) -> web.StreamResponse:
        query = request.query["q"]
        self.asked.append(query)
        self.times.append(asyncio.get_running_loop().time())
        self.agents.append(request.headers.get("User-Agent", ""))
        self.languages.append(request.query.get("accept-language"))
        behaviour, _, argument = self._fault(query).partition(":")
        match behaviour:
            case "status":
                return web.Response(status=int(argument), text=f"told to answer {argument}")
            case "rate":
                return web.Response(status=429, headers={"Retry-After": argument} if argument else {})
            case "slow":
                await asyncio.sleep(float(argument))
            case "hang":
                await asyncio.sleep(3600)
            case "malformed":
                return web.Response(text='[{"lat": "25', content_type="application/json")
            case "html":
                return web.Response(text="<html>Bad gateway</html>", content_type="text/html")
            case "close":
                if request.transport:
                    request.transport.close()
                return web.Response()
        return web.json_response(self._known(query)[: int(request.query.get("limit", "10"))])

    def _fault(self, query: str) -> str:
        faults = self.script or next((told for name, told in self.faults.items() if _is(query, name)), [])
        if not faults:
            return ""
        return faults[0][:-1] if faults[0].endswith("!") else faults.pop(0)

    def _known(self, query: str) -> Sequence[Mapping[str, Any]]:
        for name, hits in self.hits.items():
            if _is(query, name):
                return hits
        return [hit(name, *at) for name, at in self.places.items() if _is(query, name)]


def hit(name: str, lat: float, lng: float, importance: float = 0.5) -> Mapping[str, Any]:
    """A place as Nominatim's JSON has it."""
    return {
        "place_id": 1,
        "licence": LICENCE,
        "lat": str(lat),
        "lon": str(lng),
        "importance": importance,
        "name": name,
        "display_name": f"{name}, somewhere",
    }


def _is(query: str, name: str) -> bool:
    return query.casefold().startswith(name.casefold())


if __name__ == "__main__":
    serve_standalone(
        __doc__, Nominatim().serving, f"a STAND-IN for Nominatim answers at {{url}}; it knows {', '.join(TAIPEI)}"
    )
