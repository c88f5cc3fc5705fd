"""What goes into a row as JSON comes back as it was, and what the quick encoder refuses is no exception."""

import json
from typing import Any

import pytest

from secondunit.queue.payloads.json_text import deeper, dump, load


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


@pytest.mark.parametrize("value", [[[[]]], {"a": {"b": {}}}, [{"a": []}], {"a": [1, {"b": 2}], "c": []}])
def test_a_value_is_as_deep_as_its_containers_stand_in_one_another(value: Any) -> None:
    assert [deeper(value, levels) for levels in (1, 2, 3, 4)] == [True, True, False, False]


def test_a_value_of_any_depth_takes_no_recursion() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert deeper(value, 100_000) and not deeper(value, 100_001)
    while value:  # taken apart likewise: Python frees nested lists one in the other
        value = value.pop()
