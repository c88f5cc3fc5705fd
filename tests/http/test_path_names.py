"""Ids and names in the path: what can be none is refused by its field, whatever the call."""

import re
from typing import Any

import pytest

from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.transport.route import ApiRoute

PARTS = re.compile(r"{([a-z_]+)}")
NAMED = [(route, name) for route in ROUTES for name in PARTS.findall(route.path) if name not in route.free]
STRANGE = {"a line break": "a%0Ab", "a NUL": "%00", "a tab": "a%09", "C1": "%C2%85", "too long": "x" * 1001}


def path_of(route: ApiRoute, name: str, value: str) -> str:
    return PARTS.sub(lambda found: value if found[1] == name else "a", route.path)


@pytest.mark.parametrize("strange", STRANGE)
async def test_what_can_be_no_id_or_name_is_told_by_its_field(harness: Any, strange: str) -> None:
    for route, name in NAMED:
        refused = await harness.call(route.method, path_of(route, name, STRANGE[strange]), status=422)
        assert [fault["field"] for fault in refused["errors"]] == [name], route.id


async def test_all_else_may_be_one(harness: Any) -> None:
    for route, name in NAMED:
        answer = await harness.raw(route.method, path_of(route, name, "%E5%AD%97%20%2F..%22" + "x" * 900), {})
        assert answer.status != 500 and b"control" not in await answer.read(), route.id


async def test_a_token_that_can_be_none_is_a_lease_that_is_lost(harness: Any) -> None:
    refused = await harness.call("PUT", "/api/leases/a%0Ab", {}, status=409)
    assert refused["type"].endswith("lease_lost")


async def test_a_file_may_have_any_name(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.call("GET", f"/api/jobs/{job_id}/artifacts/a%0Ab", status=404)
