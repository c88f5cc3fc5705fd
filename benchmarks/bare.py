"""A bare aiohttp server: parses the body, checks nothing, stores nothing, answers as a submit does."""

import json
import sys

import uvloop
from aiohttp import web


async def submit(request: web.Request) -> web.Response:
    """An answer as long as ours."""
    body = json.loads(await request.read())
    content = {"jobId": "job_" + "a" * 26, "status": "queued", "createdAt": "2026-01-01T00:00:00.000Z", "n": len(body)}
    return web.Response(body=json.dumps(content).encode(), status=201, content_type="application/json")


def main() -> None:
    """Serve on the port given."""
    app = web.Application()
    app.router.add_post("/api/jobs", submit)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
