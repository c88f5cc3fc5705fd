"""Check of the way in from outside: the daemon asks itself through PUBLIC_URL, with a key's right and without one."""

import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from secondunit.cli.diagnosis.situation import Situation
from secondunit.cli.diagnosis.threads import apart
from secondunit.daemon.config.settings import is_loopback
from secondunit.daemon.diagnosis.checks import CheckResult, bad, ok, warn
from secondunit.daemon.wiring.database import inspect
from secondunit.handlers.tools.network.connection_errors import sentence_of
from secondunit.queue.errors import StoreBroken

ANSWERS_WITHIN = ClientTimeout(total=20, sock_connect=10)
NAME = "published"
KEY = "make a key (`secondunit keys add NAME --scope SCOPE`), or set API_KEY, and restart"


async def published(here: Situation, session: ClientSession) -> Sequence[CheckResult]:
    """Where a proxy serves it: that it does, and that nobody does anything without a key."""
    url, settings = here.settings.public_url, here.settings
    keyed = await apart(_keyed, here)
    if url is None:
        if not settings.loopback and not keyed:
            return [bad(NAME, f"HOST is {settings.host}, which other machines reach, and there is no key", KEY)]
        return [ok(NAME, "PUBLIC_URL is not set: nothing is known of a proxy in front")]
    found = [] if keyed else [bad(NAME, f"{url} is published, and there is no key", KEY)]
    if here.report is None:
        return [*found, warn(NAME, f"{url} was not asked, as no daemon answers", "start the daemon, and ask again")]
    found += await _asked(url, session)
    return found or [ok(NAME, f"{url} leads to a daemon, which wants a key")]


async def _asked(url: str, session: ClientSession) -> list[CheckResult]:
    remedy = "see to the proxy, or to PUBLIC_URL"
    try:
        status, body = await _answer(session, f"{url}/health")
        if status not in (200, 503) or not _is_health(body):
            return [bad(NAME, f"{url}/health answers {status}, not as a daemon does", remedy)]
        open_to_all, _ = await _answer(session, f"{url}/api/jobs?limit=1")
    except (ClientError, OSError, TimeoutError) as error:
        return [bad(NAME, f"{url}: {sentence_of(error, 'the proxy')}", remedy)]
    found = []
    if open_to_all == 200:
        found.append(bad(NAME, f"{url} serves anybody, without a key", KEY))
    host = urlsplit(url).hostname or ""
    if url.startswith("http:") and not is_loopback(host):
        found.append(warn(NAME, f"{url} is not encrypted: keys can be read on their way", "let the proxy serve https"))
    return found


async def _answer(session: ClientSession, url: str) -> tuple[int, bytes]:
    async with session.get(url, timeout=ANSWERS_WITHIN, allow_redirects=False) as response:
        return response.status, await response.content.read(65536)


def _is_health(body: bytes) -> bool:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("status") in ("ok", "degraded", "draining", "failing")


def _keyed(here: Situation) -> bool:
    """Whether callers need a key; what can't be known counts as none."""
    if here.report:
        return bool(here.report["keys"])
    if here.settings.api_key is not None:
        return True
    try:
        return inspect(here.settings.database, lambda: True).keys > 0
    except (OSError, StoreBroken):
        return False
