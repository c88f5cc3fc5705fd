"""Dashboard: serves the pages, their live parts and static files, takes the actions, and shows refusals as pages."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast
from urllib.parse import parse_qsl, quote, urlsplit

from aiohttp import web
from multidict import MultiDict

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.access.sessions import LIFE, Sessions
from secondunit.daemon.dashboard import cookies
from secondunit.daemon.dashboard.figures import Figures
from secondunit.daemon.dashboard.live import LiveViews, Parts, feed
from secondunit.daemon.dashboard.notices import Notices
from secondunit.daemon.dashboard.page import Action, Page, Shown, Visit
from secondunit.daemon.dashboard.renderer import Renderer
from secondunit.daemon.dashboard.texts import language_of
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.path_prefix import below, seen_by
from secondunit.daemon.http.transport.auth import CALLER, same_origin
from secondunit.daemon.http.transport.event_streams import STREAMS
from secondunit.daemon.http.transport.problems import MEDIA_TYPE, ForeignOrigin, ScopeTooSmall
from secondunit.daemon.http.transport.replies import takes_gzip
from secondunit.daemon.http.transport.route import ApiRoute, Handler

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Without a referrer a browser says of no form where it is from, and by a name without TLS nothing else does.
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
FOR_GOOD = "public, max-age=31536000, immutable"
NOBODY = Caller("", frozenset())
ASSETS = "/assets/{mark}/{name}"
# Below these paths programs call, and get JSON whatever they accept.
OF_PROGRAMS = ("/api/", "/health", "/metrics", "/analyze", "/docs")


class Dashboard:
    """The front of one daemon: its pages and actions as `pages` lists them; `load` makes what shows them."""

    def __init__(
        self,
        api: Api,
        sessions: Sessions,
        figures: Figures,
        pages: Sequence[Page],
        actions: Sequence[Action],
        load: Callable[[], Renderer],
    ) -> None:
        self._api = api
        self._figures = figures
        self._sessions = sessions
        self.pages = pages
        self._load = load
        self._views = LiveViews(api.clock)
        self._notices = Notices()
        self._loading: asyncio.Future[Renderer] | None = None
        self._routes = tuple(self._made(pages, actions))
        api.queue.hub.tap(self._views.hear)

    @property
    def routes(self) -> Sequence[ApiRoute]:
        return self._routes

    async def caller(self, request: web.Request) -> Caller | None:
        id = cookies.read(request, cookies.SESSION)
        return await self._sessions.caller(id) if id else None

    async def run(self) -> None:
        await self._views.run()

    async def refusal(self, request: web.Request, route: ApiRoute | None, refused: web.Response) -> web.Response:
        foreign = route not in self._routes if route else request.path.startswith(OF_PROGRAMS)
        if foreign or "text/html" not in request.headers.get("Accept", "") or refused.content_type != MEDIA_TYPE:
            return refused
        problem = json.loads(cast(bytes, refused.body))
        if refused.status == 401 and self._api.keys.exist:
            here = request.path_qs if request.method == "GET" else "/"
            return self._sent_to(request, f"/login?next={quote(here, safe='/')}")
        visit = await self._look(request)
        shown = Shown("refused.html", {"problem": problem}, status=refused.status)
        answer = await self._page(request, visit, shown, "")
        answer.headers.update(
            {name: value for name, value in refused.headers.items() if name in ("Retry-After", "Allow")}
        )
        return answer

    def _made(self, pages: Sequence[Page], actions: Sequence[Action]) -> Sequence[ApiRoute]:
        html = "text/html"
        return [
            *(
                ApiRoute(
                    f"pages.{page.path}", "GET", page.path, _without_api(partial(self._show, page)), page.scope, None,
                    media=html, own=page.own,
                )
                for page in pages
            ),
            *(
                ApiRoute(
                    f"actions.{action.path}", "POST", action.path, _without_api(partial(self._act, action)),
                    action.scope, None, media=html, audited=action.audited,
                )
                for action in actions
            ),
            ApiRoute(
                "pages.live", "GET", "/live", _without_api(self._live), "read", None, media="text/event-stream",
                stream=True, own=True,
            ),
            ApiRoute("pages.asset", "GET", ASSETS, _without_api(self._asset), None, None, media="*/*", limited=False),
        ]  # fmt: skip

    async def _show(self, page: Page, request: web.Request) -> web.Response:
        visit = await self._look(request)
        return await self._page(request, visit, await page.view(visit), page.nav)

    async def _act(self, action: Action, request: web.Request) -> web.Response:
        if not same_origin(request):
            raise ForeignOrigin("forms of this daemon's own pages alone are taken here")
        visit = await self._look(request)
        done = await action.act(visit, request)
        if isinstance(done, Shown):
            return await self._page(request, visit, done, "")
        answer = self._sent_to(request, done.to)
        secure, prefix = cookies.is_https(request, self._api.settings.trusted_proxies), self._prefix(request)
        for name, value in done.cookies.items():
            cookies.put(answer, name, value, LIFE, secure=secure, prefix=prefix)
        if done.notice:
            cookies.put(answer, cookies.NOTICE, self._notices.keep(done.notice), secure=secure, prefix=prefix)
        return answer

    async def _live(self, request: web.Request) -> web.StreamResponse:
        target = urlsplit(request.query.get("of", ""))
        page, parts = self._found(target.path)
        visit = await self._look(request)
        if page.scopes and not visit.caller.reaches(page.scopes):
            raise ScopeTooSmall("the key may not see this page")
        query = MultiDict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=100))
        visit = replace(visit, path=target.path, query=query, parts=parts)
        if parts:
            await page.view(visit)  # of what is not there nothing is ever pushed: it is refused as the page is
        renderer, prefix = await self._renderer(), self._prefix(request)

        async def make() -> Parts:
            return {id: below(prefix, part) for id, part in renderer.live(visit, await page.view(visit))}

        caller = visit.caller
        seen_alike = (caller.tenant, caller.scopes, caller.types and frozenset(caller.types))
        key = (target.path, tuple(query.items()), visit.texts.language, seen_alike, prefix)
        with self._views.watched(key, make) as view:
            return await request.app[STREAMS].run(request, lambda channel: feed(view, channel.send))

    async def _asset(self, request: web.Request) -> web.Response:
        asset = (await self._renderer()).assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Vary": "Accept-Encoding"}
        headers["Cache-Control"] = FOR_GOOD if request.match_info["mark"] == asset.mark else "no-cache"
        if not takes_gzip(",".join(request.headers.getall("Accept-Encoding", ()))):
            return web.Response(body=asset.content, content_type=asset.content_type, charset="utf-8", headers=headers)
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=asset.packed, content_type=asset.content_type, charset="utf-8", headers=headers)

    async def _page(self, request: web.Request, visit: Visit, shown: Shown, nav: str) -> web.Response:
        renderer, notice = await self._renderer(), cookies.read(request, cookies.NOTICE)
        prefix = self._prefix(request)
        frame = {
            "nav": [one for one in self._entries() if visit.caller.reaches(one.scopes)],
            "current": nav,
            "here": request.path_qs if request.method == "GET" else "/",
            "notice": self._notices.take(notice),
            "session": cookies.read(request, cookies.SESSION) is not None and visit.caller is not NOBODY,
            "version": self._api.version,
            "shown": shown,
            "live": shown.status == 200 and request.method == "GET" and renderer.is_live(shown.template),
        }
        text = below(prefix, renderer.page(visit, shown, frame))
        answer = web.Response(text=text, status=shown.status, content_type="text/html", headers=HEADERS)
        if notice:
            cookies.put(answer, cookies.NOTICE, None, prefix=prefix)
        return answer

    def _entries(self) -> Sequence[Page]:
        """The pages of the navigation: the first of each name."""
        first: dict[str, Page] = {}
        for page in self.pages:
            first.setdefault(page.nav, page)
        first.pop("", None)
        return list(first.values())

    def _found(self, path: str) -> tuple[Page, Mapping[str, str]]:
        """The page under a path, and what its path names."""
        for page in sorted(self.pages, key=lambda page: "{" in page.path):
            patterns, words = page.path.split("/"), path.split("/")
            pairs = list(zip(patterns, words, strict=False))
            if len(patterns) == len(words) and all(one == word or (one[:1] == "{" and word) for one, word in pairs):
                return page, {one[1:-1]: word for one, word in pairs if one[:1] == "{"}
        raise web.HTTPNotFound

    async def _look(self, request: web.Request) -> Visit:
        renderer = await self._renderer()
        language = language_of(cookies.read(request, cookies.LANGUAGE), request.headers.get("Accept-Language", ""))
        caller = request.get(CALLER, NOBODY)
        texts, parts = renderer.texts(language), dict(request.match_info)
        return Visit(self._api, self._figures, caller, texts, request.path, request.query, parts)

    async def _renderer(self) -> Renderer:
        """Made for the first who looks, off the loop."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        return await asyncio.shield(self._loading)

    def _prefix(self, request: web.Request) -> str:
        return seen_by(request, self._api.settings.prefix)

    def _sent_to(self, request: web.Request, to: str) -> web.Response:
        """On to another page; htmx takes no redirect of a request that it made into a page that it is not on."""
        if to.startswith("/login") and "HX-Request" in request.headers:
            return web.Response(status=200, headers={"HX-Redirect": self._prefix(request) + to, **HEADERS})
        return web.Response(status=303, headers={"Location": to, **HEADERS})


def _without_api(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """As the routing table wants it; the pages have their API from the start."""

    async def handle(_: Api, request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return handle
