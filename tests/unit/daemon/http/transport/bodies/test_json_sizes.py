"""Structural limits of JSON: values are counted where they stand, and not in text."""

import json
from typing import Any

import pytest

from secondunit.daemon.http.transport.bodies.json_sizes import crowded


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
