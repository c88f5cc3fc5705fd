"""Structural limits of JSON: values are counted as they are, wherever commas and brackets stand in texts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondunit.daemon.http.transport.bodies.json_sizes import MOST_OF_ONE, check_one, crowded
from secondunit.daemon.http.transport.problems import NotJson
from secondunit.queue.errors import BadPayload

TEXTS = st.text('ab,[]{}:"\\é')
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=40,
)


def marks(value: Any) -> int:
    """Lists and objects, and what follows the first in each."""
    if not isinstance(value, list | dict):
        return 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(len(inner) - 1, 0) + sum(map(marks, inner))


@given(VALUES)
def test_what_stands_in_a_text_is_no_value(value: Any) -> None:
    raw, n = json.dumps(value, ensure_ascii=False).encode(), marks(value)
    for most in range(1, n):
        assert crowded(raw, most)
    assert not crowded(raw, max(n, raw.count(b'"')))


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({f"unknown{n}": n for n in range(MOST_OF_ONE + 1)}, ""),
        ({"payload": {f"unknown{n}": n for n in range(MOST_OF_ONE + 1)}}, "payload"),
        ({"payload": {"cues": [[n] for n in range(MOST_OF_ONE)]}, "type": "hls"}, "payload.cues"),
    ],
)
def test_too_many_values_are_refused_where_they_stand(content: Any, place: str) -> None:
    with pytest.raises(BadPayload, match=f"more than {MOST_OF_ONE} values") as refused:
        check_one(json.dumps(content).encode())
    [fault] = refused.value.errors
    assert fault.field == place and "leave out" in fault.message


def test_what_is_too_deep_is_that_first() -> None:
    with pytest.raises(NotJson, match="nested deeper"):
        check_one(b"[" * (MOST_OF_ONE + 1))


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ({"a": [1] * 200}, 202),
        ({f"{n}": "," * 9 for n in range(200)}, 200),
        ([{"a": '"[{,\\'}] * 200, 401),
        (["\\" * n for n in range(200)], 200),
        ({"a": "[" * 300_000, "b": [",\\" * 200_000] * 3}, 5),
    ],
)
def test_values_are_told_from_marks_in_text(content: Any, values: int) -> None:
    raw = json.dumps(content).encode()
    assert not crowded(raw, values) and crowded(raw, values - 2)
