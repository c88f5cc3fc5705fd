"""Bodies that the calls of a lease refuse, in the caller's words, without listing them by the thousand."""

import io
import json

import pytest

from secondunit.daemon.http.routes import ROUTES
from secondunit.daemon.http.transport.route import ApiRoute
from tests.http.harness import ApiHarness
from tests.http.leases.scene import one, submit, take
from tests.http.wrong_bodies import CROWDED, JSON, MANY, bodies, check

OF_LEASES = [route for route in ROUTES if route.body and "{token}" in route.path]


def called(route: ApiRoute, lease: str) -> str:
    return route.path.replace("/api/leases/{token}", lease).replace("{name}", "a")


@pytest.mark.parametrize("route", OF_LEASES, ids=lambda route: route.id)
async def test_a_wrong_body_is_refused_in_the_callers_words(harness: ApiHarness, route: ApiRoute) -> None:
    refused = 0
    _, lease = await one(harness)
    for body in bodies(route):
        response = await harness.raw(route.method, called(route, lease), json=body)
        assert response.status in (200, 422)
        if response.status == 422:
            refused += 1
            check(await response.json())
        elif route.method == "POST":  # that was the end of it
            await submit(harness)
            lease = f"/api/leases/{(await take(harness))[0]['token']}"
    assert refused > 1


@pytest.mark.parametrize("route", OF_LEASES, ids=lambda route: route.id)
async def test_unknown_fields_are_not_listed_by_the_thousand(harness: ApiHarness, route: ApiRoute) -> None:
    _, lease = await one(harness)
    content = io.BytesIO(json.dumps(MANY).encode())
    response = await harness.raw(route.method, called(route, lease), data=content, headers=JSON)
    [fault] = (await response.json())["errors"]
    assert response.status == 422 and CROWDED in fault["message"]
