"""What models say of themselves becomes what generators of clients understand."""

from typing import Any

import pytest

from secondunit.daemon.http.contract.openapi.schemas import cleaned, without_null


def test_a_default_is_told_and_not_kept_and_null_and_nothing_need_not_be_told() -> None:
    schema = {"type": "integer", "default": 320, "description": "in pixels", "title": "Width"}
    assert cleaned(schema) == {"type": "integer", "description": "in pixels. Default: 320."}
    assert cleaned({"type": "boolean", "default": False}) == {"type": "boolean", "description": "Default: false."}
    assert cleaned({"default": None}) == cleaned({"default": []}) == cleaned({"default": {}}) == {}


def test_fields_may_have_the_names_of_keywords() -> None:
    schema = {"properties": {"title": {"type": "string", "title": "Title"}, "default": {"default": 1}}}
    assert cleaned(schema) == {
        "properties": {"title": {"type": "string"}, "default": {"description": "Default: 1."}},
    }


@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf", "prefixItems"])
def test_every_part_of_a_schema_is_cleaned(word: str) -> None:
    assert cleaned({word: [{"title": "A"}]}) == {word: [{}]}
    assert cleaned({"items": {"title": "A"}, "additionalProperties": False}) == {
        "items": {},
        "additionalProperties": False,
    }


def test_an_indented_description_is_not_shown_as_code() -> None:
    assert cleaned({"description": "A job.\n\n    It waits."})["description"] == "A job.\n\nIt waits."


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "integer"}),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ({"type": "integer"}, {"type": "integer"}),
    ],
)
def test_null_is_left_out_where_it_can_not_be_written(schema: Any, expected: Any) -> None:
    assert without_null(schema) == expected
