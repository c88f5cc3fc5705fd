"""Documentation endpoints: the OpenAPI document, and Swagger UI from this machine."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.path_prefix import seen_by
from secondunit.daemon.http.transport.replies import NO_FRAMES, reply_encoded

DOCUMENT: web.AppKey[Callable[[], bytes]] = web.AppKey("document")
ROOT = b'"url":"/"'  # of its servers
ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    f"form-action 'none'; {NO_FRAMES}"
)
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Second Unit API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
START = 'SwaggerUIBundle({url: "api/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null});\n'


async def document(api: Api, request: web.Request) -> web.Response:
    """This document."""
    # The first time it takes a tenth of a second; to write it anew for each who asks would hold up all others by 5 ms.
    written = await asyncio.to_thread(request.app[DOCUMENT])
    prefix = seen_by(request, api.settings.prefix)
    return reply_encoded(written.replace(ROOT, b'"url":"%b"' % prefix.encode(), 1) if prefix else written)


async def page(_: Api, __: web.Request) -> web.Response:
    """This document as a page to try calls on."""
    return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": POLICY})


async def asset(_: Api, request: web.Request) -> web.StreamResponse:
    """A file of that page."""
    name = request.match_info["asset"]
    if name == "start.js":
        return web.Response(text=START, content_type="text/javascript")
    if name not in ASSETS:
        raise web.HTTPNotFound
    from swagger_ui_bundle import swagger_ui_path

    headers = {"Content-Type": ASSETS[name], "Cache-Control": "public, max-age=86400"}
    return web.FileResponse(swagger_ui_path / name, headers=headers)
