"""Who is signed in, with which key, and what keys submit."""

from typing import Any

from tests.http.dashboard.browser import Browser
from tests.http.keys import API_KEY


async def signed_in(visit: Any, **settings: Any) -> Browser:
    browser: Browser = await visit(api_key=API_KEY, **settings)
    await browser.sign_in(API_KEY)
    return browser


async def key_of(browser: Browser, *scopes: str, **fields: Any) -> str:
    headers = await browser.harness.key(*scopes, **fields)
    return str(headers["Authorization"].removeprefix("Bearer "))


async def posted(browser: Browser, type: str = "idle", key: str = "", **fields: Any) -> str:
    headers = {"Authorization": f"Bearer {key}"} if key else {"X-API-Key": API_KEY}
    ask = {"type": type, "payload": {}} | fields
    answer = await browser.harness.call("POST", "/api/jobs", ask, status=201, headers=headers)
    return str(answer["jobId"])
