"""Access keys and the audit trail: keys made, listed and revoked; who changed what."""

from datetime import timedelta
from shlex import quote
from typing import Any, get_args

from aiohttp import web
from multidict import MultiDict, MultiMapping

from secondunit.daemon.access.callers import Scope
from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.page import Done, Shown, Visit
from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract import access, requests
from secondunit.daemon.http.transport.audit import note
from secondunit.daemon.http.transport.problems import NoSuchKey
from secondunit.queue.errors import BadPayload, FieldError

SPANS = (30, 90, 365)  # days
AT_ONCE = 50


async def show(visit: Visit) -> Shown:
    """Every key that was made, and the form for another; or the question before one is revoked."""
    found = await visit.api.keys.all()
    values = {
        "rows": sorted(found, key=lambda key: (key.revoked_at is not None, key.name)),
        "asked": next((key for key in found if key.prefix == visit.query.get("revoke") and not key.revoked_at), None),
        "scopes": get_args(Scope),
        "spans": SPANS,
        "types": sorted(visit.api.queue.registry),
        "needed": visit.api.keys.exist,
    }
    return Shown("access/keys.html", values, "secondunit keys list", "/api/keys")


async def change(visit: Visit, request: web.Request) -> Done | Shown:
    """Make a key and show it this once, or revoke one."""
    form = await form_of(request)
    match form.get("do"):
        case "add":
            return await _add(visit, request, form)
        case "revoke":
            prefix = form.get("prefix", "")
            key = await visit.api.keys.revoke(prefix)
            if key is None:
                raise NoSuchKey(f"no key has the prefix {prefix[:100]}")
            note(request, prefix, access.about(key), action="keys revoke")
            return Done("/keys", visit.texts("access.did.revoke", name=key.name))
        case _:
            raise BadPayload(FieldError("do", "should be add or revoke"))


async def trail(visit: Visit) -> Shown:
    """Who changed what, newest first, perhaps about one key, action or target."""
    asked = {name: value for name in ("cursor", "about") if (value := visit.query.get(name, "").strip())}
    ask = requests.query(access.AuditQuery, MultiDict(asked | {"limit": str(AT_ONCE)}))
    found = await visit.api.audit.find(ask.cursor, AT_ONCE + 1, ask.about)
    rows = found[:AT_ONCE]
    values = {"rows": rows, "about": ask.about, "older": rows[-1].seq if len(found) > AT_ONCE else None}
    command = "secondunit keys audit" + (f" --about {quote(ask.about)}" if ask.about else "")
    return Shown("access/audit.html", values, command, visit.link("/api/audit", limit=AT_ONCE, about=ask.about))


async def _add(visit: Visit, request: web.Request, form: MultiMapping[str]) -> Shown:
    api, days = visit.api, form.get("days", "")
    body: dict[str, Any] = {"name": form.get("name", "").strip(), "scopes": form.getall("scope", [])}
    if types := form.getall("type", []):
        body["types"] = types
    if days in map(str, SPANS):
        body["expiresAt"] = instant(api.clock.now() + timedelta(days=int(days)))
    if rate := form.get("rate", "").strip():
        body["rate"] = rate
    ask = requests.taken(access.KeyAsk, body)
    text, key = await api.keys.issue(access.new_key(ask, api.clock.now(), api.queue.registry))
    note(request, key.prefix, access.about(key), action="keys add")
    return Shown("access/made.html", {"text": text, "key": key})
