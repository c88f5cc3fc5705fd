"""Lists on the command line: as long as was asked for, though the daemon's pages end early."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from secondunit.cli.client import Client, listed


class Pages:
    """A daemon with seven jobs, of which a page holds two."""

    def __init__(self, *, truncated: bool = False) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self._truncated = truncated

    async def call(self, _: str, __: str, *, query: Sequence[tuple[str, Any]]) -> Any:
        asked = dict(query)
        self.asked.append(asked)
        start = int(asked.get("cursor", 0))
        end = min(start + min(asked["limit"], 2), 7)
        cursor = str(end) if end < 7 else None
        return {"jobs": [*range(start, end)], "nextCursor": cursor, "total": 7, "truncated": self._truncated}


@pytest.mark.parametrize(("limit", "cursor"), [(1, "1"), (2, "2"), (5, "5"), (7, None), (20, None)])
async def test_pages_are_followed_until_there_are_as_many_as_was_asked_for(limit: int, cursor: str | None) -> None:
    daemon = Pages()
    found = await listed(cast(Client, daemon), "/api/jobs", [("type", "hls")], limit)
    assert found == {"jobs": [*range(min(limit, 7))], "nextCursor": cursor, "total": 7, "truncated": False}
    assert all(asked["type"] == "hls" for asked in daemon.asked)


async def test_a_list_goes_on_from_its_own_cursor() -> None:
    found = await listed(cast(Client, Pages()), "/api/jobs", [("cursor", 3)], 3)
    assert found["jobs"] == [3, 4, 5]


async def test_a_search_that_was_cut_short_is_not_gone_on_with() -> None:
    daemon = Pages(truncated=True)
    found = await listed(cast(Client, daemon), "/api/jobs", [], 5)
    assert (found["jobs"], found["nextCursor"], len(daemon.asked)) == ([0, 1], "2", 1)
