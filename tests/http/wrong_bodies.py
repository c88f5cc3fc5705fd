"""Bodies that are refused: with a wrong value at each field, and with too many values; and how that may be said."""

from collections.abc import Iterator
from typing import Any

from secondunit.daemon.http.transport.route import ApiRoute

JSON = {"Content-Type": "application/json"}
MANY = {f"a{n}": 1 for n in range(80_000)}
CROWDED = "more than 10000 values"
VALIDATORS_WORDS = (
    "Input",
    "Value error",
    "Field required",
    "valid ",
    "dictionary",
    "parse",
    "Extra inputs",
    "pydantic",
)
WRONG: tuple[Any, ...] = (
    None, True, -1, 10**20, 1.5, "", "wrong", "queued,wrong", [], [None], [""], ["wrong"], ["a"] * 1001, {}, {"x": 1},
    {"status": "queued,wrong"}, {"status": [1]}, {"maxRetries": "x"}, {"language": 1}, [{"jobId": 1}], [{"type": 3}],
)  # fmt: skip


def bodies(route: ApiRoute) -> Iterator[dict[str, Any]]:
    """A body without its fields, and with one of each sort of value at each of them."""
    assert route.body is not None
    yield {}
    yield {"unknown": 1}
    for name, field in route.body.model_fields.items():
        yield from ({field.alias or name: wrong} for wrong in WRONG)


def check(problem: dict[str, Any]) -> None:
    for error in problem.get("errors", ()):
        said = f"{error['field']}: {error['message']}"
        assert error["message"] and not any(word in said for word in VALIDATORS_WORDS), said
        assert "status." not in error["field"] or error["field"].endswith(".0"), said
