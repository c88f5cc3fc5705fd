"""Key endpoints: access keys made, listed and revoked, and the trail of who changed what."""

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import access, requests
from secondunit.daemon.http.transport.audit import note
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.problems import NoSuchKey
from secondunit.daemon.http.transport.replies import reply


async def add(api: Api, request: web.Request) -> web.Response:
    """Make a key. It is shown here and never again: what is kept of it is its SHA-256."""
    ask = requests.taken(access.KeyAsk, await read_object(request, api.settings.max_body))
    text, key = await api.keys.issue(access.new_key(ask, api.clock.now(), api.queue.registry))
    note(request, key.prefix, access.about(key))
    return reply(access.made(text, key), 201)


async def find(api: Api, _: web.Request) -> web.Response:
    """Every key that was made, revoked ones too."""
    return reply(access.keys(await api.keys.all()))


async def revoke(api: Api, request: web.Request) -> web.Response:
    """Revoke a key: from now on no call is answered under it, and its event streams end at once."""
    prefix = request.match_info["prefix"]
    key = await api.keys.revoke(prefix)
    if key is None:
        raise NoSuchKey(f"no key has the prefix {prefix[:100]}")
    note(request, prefix, access.about(key))
    return reply(access.known(key))


async def audit(api: Api, request: web.Request) -> web.Response:
    """Who changed what, newest first: kept for 90 days. Submits are not here, but those of types that are audited."""
    ask = requests.query(access.AuditQuery, request.query)
    return reply(access.audit(await api.audit.find(ask.cursor, ask.limit + 1, ask.about), ask.limit))
