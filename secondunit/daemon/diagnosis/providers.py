"""Reachability probes of the backend, Gemini and the geocoder, with the operator's keys and at no cost."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from secondunit.daemon.automation.backend import Backend, BackendTrouble
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.diagnosis.checks import CheckResult, Examination, bad, ok, warn
from secondunit.handlers.tools.gemini.errors import judge, words
from secondunit.handlers.tools.gemini.model_names import model_name
from secondunit.handlers.tools.gemini.transport import API_VERSION, GeminiHttpError
from secondunit.handlers.tools.http_statuses import REFUSES_US, in_trouble
from secondunit.handlers.tools.network.connection_errors import sentence_of
from secondunit.queue.clock import Clock
from secondunit.queue.sentences import say

GOOGLE = "https://generativelanguage.googleapis.com"
ANSWERS_WITHIN = ClientTimeout(total=20, sock_connect=10)
LONGEST_ANSWER = 1 << 20


def provider_looks(settings: Settings, session: ClientSession, clock: Clock) -> Sequence[Examination]:
    """What to look at of the services outside that these settings name."""
    return (
        Examination("backend", lambda: _backend(settings, session, clock)),
        Examination("gemini", lambda: _gemini(settings, session, clock.now())),
        Examination("geocoder", lambda: _geocoder(settings, session)),
    )


async def _backend(settings: Settings, session: ClientSession, clock: Clock) -> Sequence[CheckResult]:
    """Its list is read as a poll would, but nothing of it is taken on."""
    if settings.processor_mode == "passive":
        return [ok("backend", say("not asked: PROCESSOR_MODE is passive"))]
    key = settings.internal_api_key.get_secret_value() if settings.internal_api_key else None
    backend = Backend(session, settings.backend_api_url, key, clock, box=settings.box, timeout=ANSWERS_WITHIN)
    try:
        listed, unread = await backend.failed(settings.poll_limit)
    except BackendTrouble as trouble:
        found = say("{url}: {why}", url=settings.backend_api_url, why=trouble.why)
        remedy = say(
            "set INTERNAL_API_KEY to the key that the backend knows, and restart"
            if trouble.refused
            else "see to the backend, or to BACKEND_API_URL; polling goes on by itself"
        )
        return [bad("backend", found, remedy)]
    if unread:
        n, of = len(unread), len(unread) + len(listed)
        found = say("{n} of {of} rows of its list can't be read: {why}", n=n, of=of, why=unread[0].why)
        return [warn("backend", found, say("mend the rows that it lists (docs/active-mode.md)"))]
    return [ok("backend", say("{url} gives its list", url=settings.backend_api_url))]


async def _gemini(settings: Settings, session: ClientSession, now: datetime) -> Sequence[CheckResult]:
    """The model's own page is asked for, which costs nothing."""
    if settings.gemini_api_key is None:
        if settings.processor_mode == "active":
            found = say("GEMINI_API_KEY is not set, so nothing is polled in active mode")
            return [bad("gemini", found, say("set GEMINI_API_KEY and restart, or set PROCESSOR_MODE=passive"))]
        return [ok("gemini", say("no key is set: job types that need one are refused, all else works"))]
    base, model = settings.gemini_base_url or GOOGLE, model_name(settings.gemini_model)
    url = f"{base}/{API_VERSION}/models/{quote(model, safe='')}"
    headers = {"x-goog-api-key": settings.gemini_api_key.get_secret_value()}
    try:
        async with session.get(url, headers=headers, timeout=ANSWERS_WITHIN, allow_redirects=False) as response:
            if response.status == 200:
                return [ok("gemini", say("the key is taken, and {model} is there", model=model))]
            refused = GeminiHttpError(response.status, await _details(response))
    except (ClientError, OSError, TimeoutError) as error:
        found = say("{url}: {why}", url=base, why=sentence_of(error, "Gemini"))
        return [warn("gemini", found, say("see to the network, or to GEMINI_BASE_URL; jobs that need it wait"))]
    verdict = judge(refused, model, now)
    if verdict.trouble is None:
        found = say("{url} answers {status}: {why}", url=base, status=refused.code, why=words(refused))
        return [warn("gemini", found, say("wait; jobs that need it go on by themselves"))]
    right = "GEMINI_MODEL" if refused.code == 404 else "GEMINI_API_KEY"
    return [bad("gemini", verdict.trouble, say("set {name} to one that Gemini takes, and restart", name=right))]


async def _geocoder(settings: Settings, session: ClientSession) -> Sequence[CheckResult]:
    """Its status page; a server without one shows all the same that it is there."""
    if settings.gemini_api_key is None:
        return [ok("geocoder", say("not asked: without a key for Gemini nothing looks for places"))]
    url, remedy = settings.geocoder_url, say("see to the network, or to GEOCODER_URL; jobs that need it wait")
    try:
        async with session.get(f"{url}/status", timeout=ANSWERS_WITHIN, allow_redirects=False) as response:
            status = response.status
    except (ClientError, OSError, TimeoutError) as error:
        return [warn("geocoder", say("{url}: {why}", url=url, why=sentence_of(error, say("the geocoder"))), remedy)]
    if status in REFUSES_US:
        found = say("{url} refuses us ({status})", url=url, status=status)
        return [bad("geocoder", found, say("set GEOCODER_URL to a server that serves this box"))]
    if in_trouble(status):
        return [warn("geocoder", say("{url} answers {status}", url=url, status=status), remedy)]
    return [ok("geocoder", say("{url} answers", url=url))]


async def _details(response: ClientResponse) -> Mapping[str, Any]:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > LONGEST_ANSWER:
            return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
