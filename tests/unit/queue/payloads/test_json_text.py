"""What goes into a row as JSON comes back as it was, and what the quick encoder refuses is no exception."""

import json
from typing import Any

import pytest

from secondunit.queue.payloads.json_text import dump, load


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, "", "ü €", [], {}, {"a": [1, {"b": None}]}, "half a \ud83d pair", 2**80, -(2**64), 1e308],
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    text = dump({"value": value})
    assert load(text) == {"value": value} == json.loads(text)


def test_text_is_compact() -> None:
    assert dump({"a": [1, 2], "b": "x y"}) == '{"a":[1,2],"b":"x y"}'


def test_what_an_earlier_version_wrote_is_read() -> None:
    assert load('{"a": "\\ud83d", "b": 1e999, "c": NaN}')["b"] == float("inf")


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        dump({"a": object()})
    with pytest.raises(ValueError, match="line 1"):
        load('{"a": }')
