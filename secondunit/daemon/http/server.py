"""HTTP application: routes, the one middleware around them, and what lives as long as it does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache, partial

import aiohttp_cors
import structlog
from aiohttp import web

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract.openapi.document import document
from secondunit.daemon.http.endpoints.documentation import DOCUMENT
from secondunit.daemon.http.path_prefix import lead_below
from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.traces import made
from secondunit.daemon.http.transport.admission import Admission
from secondunit.daemon.http.transport.audit import NOTES, SCRIBE, Scribe
from secondunit.daemon.http.transport.auth import CALLER
from secondunit.daemon.http.transport.bodies.large_bodies import LARGE_BODIES, TURN, LargeBodies
from secondunit.daemon.http.transport.connections import FAULT, give_up_body
from secondunit.daemon.http.transport.event_streams import STREAMS, Streams
from secondunit.daemon.http.transport.problems import UNEXPECTED, problem, problem_of
from secondunit.daemon.http.transport.replies import compress, encoded
from secondunit.daemon.http.transport.request_heads import check_head
from secondunit.daemon.http.transport.route import ApiRoute, Front
from secondunit.daemon.http.transport.short_way import HOT_CALLS, Endpoint
from secondunit.daemon.monitoring.http_requests import RequestAnswered, RequestBroke
from secondunit.daemon.process.garbage_collector import give_back
from secondunit.queue.errors import TypeBroken

CORS_HEADERS = ("Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer")
PATHS = tuple(dict.fromkeys(route.path for route in ROUTES))
EXPOSED_HEADERS = ("Location", "Retry-After")

log = structlog.get_logger(__name__)


def build_app(api: Api, front: Front | None = None) -> web.Application:
    """The API as an application, to be served on a socket; `front` are the pages beside it."""
    boundary = Boundary(api, Admission(api, front), front)
    app = web.Application(middlewares=[boundary.middleware], client_max_size=api.settings.max_batch)
    written: Callable[[], bytes] = cache(
        lambda: encoded(document(ROUTES, api.version, tuple(api.queue.registry.values())))
    )
    app[DOCUMENT] = written
    app[STREAMS] = Streams(api.settings.events_heartbeat, api.settings.send_timeout, api.settings.connections, api.emit)
    api.keys.listen(app[STREAMS].cut)
    # A path is one resource, whatever order the table has: aiohttp-cors answers preflights by resource.
    resources = {path: app.router.add_resource(_pattern(path, PATHS)) for path in PATHS}
    for route in ROUTES:
        boundary.add(resources[route.path], route)
    _allow_origins(app, api.settings.cors_origins)
    _add_pages(app, boundary, front.routes if front else ())
    # What lets other origins in, and puts a prefix before addresses, hangs on the long way.
    app[HOT_CALLS] = {} if api.settings.cors_origins or api.settings.prefix else boundary.hot
    app.cleanup_ctx.append(partial(_keeping_streams, api, front))
    return app


class Boundary:
    """Everything between a connection and a route: admission, refusals as problems, compression, one measurement."""

    def __init__(self, api: Api, admission: Admission, front: Front | None = None) -> None:
        self._api = api
        self._front = front
        self._admission = admission
        self._routes: dict[object, ApiRoute] = {}
        self._large_bodies = LargeBodies(give_back)
        self.hot: dict[str, Endpoint] = {}

    def add(self, resource: web.Resource, route: ApiRoute) -> None:
        """Serve a route; one for GET also answers HEAD."""
        endpoint = partial(route.handler, self._api)
        self._routes[endpoint] = route
        resource.add_route(route.method, endpoint)
        if route.method == "GET":
            resource.add_route("HEAD", endpoint)
        if route.hot:
            self.hot[route.path] = partial(self.answer, endpoint, route)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Endpoint) -> web.StreamResponse:
        """The answer to any request at all."""
        return await self.answer(handler, self._routes.get(request.match_info.handler), request)

    async def answer(self, handler: Endpoint, route: ApiRoute | None, request: web.Request) -> web.StreamResponse:
        """The handler's answer to a request that is let in, or why there is none; `route` None: nothing is there."""
        started = self._api.clock.monotonic()
        try:
            request[LARGE_BODIES] = self._large_bodies
            check_head(request)
            caller = await self._admission.admit(request, route)
            if caller is not None:
                request[CALLER] = caller
                if route is not None and route.audited:
                    request[SCRIBE] = self._scribe(request, route, caller)
            response = await handler(request)
            if NOTES in request and route is not None:
                scribe = self._scribe(request, route, request[CALLER])
                for note in request[NOTES]:  # before anybody is told that it was changed
                    await scribe.write(*note)
        except Exception as error:  # a caller gets an answer whatever broke, and the log the cause
            known = problem_of(error)
            if known is None or isinstance(error, TypeBroken):
                log.exception("http.failed", method=request.method, path=_told(request, route))
                self._api.emit(RequestBroke(request.method, route.path if route else "", error))
            refused = known or problem(UNEXPECTED, "this is a fault of the daemon; its log has the cause")
            response = await self._front.refusal(request, route, refused) if self._front else refused
        if TURN in request:
            await request[TURN].end()
        lead_below(self._api.settings.prefix, request, response)
        compress(request, response)
        if _is_early(request, response):
            response.force_close()
            give_up_body(request)
        if route is not None and not route.stream:
            seconds = self._api.clock.monotonic() - started
            self._api.emit(RequestAnswered(request.method, route.path, response.status, seconds, made(request)))
        return response

    def _scribe(self, request: web.Request, route: ApiRoute, caller: Caller) -> Scribe:
        address = self._admission.address_of(request)
        return Scribe(self._api.audit, self._api.clock, caller, address, route.audited or route.path)


def _told(request: web.Request, route: ApiRoute | None) -> str:
    """The path, for the log; of one that holds a token, its pattern."""
    return route.path if route and "{token}" in route.path else request.path


def _is_early(request: web.Request, response: web.StreamResponse) -> bool:
    """Whether the answer came before the body: what is left of it would be read, or unpacked, for nothing."""
    packed = "Content-Encoding" in request.headers
    if response.status >= 400:
        return packed or FAULT in request or not request.content.at_eof()
    return not (request.content.at_eof() if packed else request.content.is_eof())


def _pattern(path: str, others: Iterable[str]) -> str:
    """The path as aiohttp takes it.

    The name of an artefact may hold slashes, as a playlist's relative URLs do; and what stands for any id stands for
    none of the words at its place: `/api/jobs/batch` takes POST alone.
    """
    folder, _, last = path.rpartition("/")
    words = [other.rpartition("/")[2] for other in others if other.rpartition("/")[0] == folder and other != path]
    if last.startswith("{") and words:
        return f"{folder}/{last[:-1]}:(?!(?:{'|'.join(words)})$)[^/]+}}"
    return path.replace("{name}", "{name:(?s:.+)}")


def _add_pages(app: web.Application, boundary: Boundary, routes: Sequence[ApiRoute]) -> None:
    """Serve the pages, which no other origin is let into."""
    paths = tuple(dict.fromkeys(route.path for route in routes))
    resources = {path: app.router.add_resource(_pattern(path, paths)) for path in paths}
    for route in routes:
        boundary.add(resources[route.path], route)


def _allow_origins(app: web.Application, origins: Sequence[str]) -> None:
    """Let pages and extensions of these origins read answers and send keys."""
    if not origins:
        return
    options = {
        "allow_headers": CORS_HEADERS,
        "expose_headers": EXPOSED_HEADERS,
        "max_age": 600,
    }
    app.on_response_prepare.append(_vary_by_origin)
    cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(origins, options))
    for route in list(app.router.routes()):
        cors.add(route)


async def _vary_by_origin(_: web.Request, response: web.StreamResponse) -> None:
    """Keep a cache from giving one origin's answer to another, which aiohttp-cors leaves to us."""
    response.headers.add("Vary", "Origin")


async def _keeping_streams(api: Api, front: Front | None, app: web.Application) -> AsyncIterator[None]:
    """Look after the streams, and end them as soon as the daemon stops: nothing waits for readers that never leave."""

    async def watch() -> None:
        await api.stopping.wait()
        app[STREAMS].end()

    loops = [watch(), app[STREAMS].keep(), *([front.run()] if front else [])]
    tasks = [asyncio.create_task(loop) for loop in loops]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
