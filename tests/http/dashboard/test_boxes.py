"""Boxes: who shares the queue and how each is, and a drain by hand."""

from typing import Any

import pytest

from secondunit.queue.value import replace
from tests.http.keys import API_KEY

ODD = '箱 "%2F" /?#&;+.'


@pytest.fixture
async def browser(visit: Any) -> Any:
    opened = await visit()
    await entered(opened.harness)
    return opened


async def entered(harness: Any) -> None:
    own = harness.presence.box
    for row in (own, replace(own, name=ODD, boot=f"{ODD}/1"), replace(own, name="past", boot="past/1", phase="ended")):
        await harness.store.boxes.enter(row)


async def test_boxes_are_shown_with_how_they_are(browser: Any) -> None:
    page = await browser.open("/boxes")
    assert all(page.says(word) for word in ("here", ODD, "past", "gone", "http://127.0.0.1:8000", "/ 4"))
    assert len(page.all("time")) == 1, "of a box that lives no time is told, which would be another one each second"


async def test_a_box_is_drained_and_resumed_whatever_it_is_called_and_the_trail_says_so(browser: Any) -> None:
    page = await browser.send("/boxes/act", ("do", "drain"), ("name", ODD))
    assert page.says(f"{ODD} starts nothing more") and page.says("draining")
    page = await browser.send("/boxes/act", ("do", "resume"), ("name", ODD))
    assert page.says("starts jobs again") and not page.says("draining")
    trail = [(entry.action, entry.target) for entry in await browser.harness.store.audit.find(None, 9)]
    assert trail == [("box resume", ODD), ("box drain", ODD)]


@pytest.mark.parametrize(("fields", "status", "said"), [
    ([("do", "stop"), ("name", "here")], 422, "should be drain or resume"),
    ([("do", "drain"), ("name", "nobody's")], 404, "no box is called"),
])  # fmt: skip
async def test_a_wrong_order_is_refused(browser: Any, fields: Any, status: int, said: str) -> None:
    assert (await browser.send("/boxes/act", *fields, status=status)).says(said)


async def test_who_may_only_read_sees_no_button(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    await entered(browser.harness)
    reader = await browser.harness.key("read")
    await browser.sign_in(reader["Authorization"].removeprefix("Bearer "))
    page = await browser.open("/boxes")
    assert page.says("here") and not page.all("button", value="drain")
