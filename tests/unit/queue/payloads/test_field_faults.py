"""What is wrong with a field, in the words of JSON and under the path that the caller wrote."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, IPvAnyAddress, ValidationError, field_validator

from secondunit.queue.payloads.field_faults import faults_of

VALIDATORS_WORDS = (
    "input", "value error", "field required", "valid ", "dictionary", "integer", "instance", "parse", "extra inputs",
    "permitted", "pydantic", "tuple", "items after", "assertion",
)  # fmt: skip


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Inner(BaseModel):
    n: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    bones: int


class Wide(BaseModel):
    """A plugin's payload with nearly every sort of field there is."""

    text: Annotated[str, Field(min_length=2, max_length=3)] = "ab"
    word: Annotated[str, Field(pattern="^a+$")] = "a"
    whole: Annotated[int, Field(ge=1, lt=9, multiple_of=2)] = 2
    share: Annotated[float, Field(gt=0, le=1)] = 1
    sharp: bool = False
    size: Size = Size.SMALL
    choice: Literal["a", "b"] = "a"
    either: int | str | None = None
    inner: Inner | None = None
    many: Annotated[list[Inner | int], Field(min_length=1, max_length=2)] = [1]
    by_name: Mapping[str, int] = {}
    pair: tuple[int, str] = (1, "a")
    unique: set[int] = set()
    at: datetime | None = None
    span: timedelta | None = None
    id: UUID | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    host: IPvAnyAddress | None = None
    own: str | None = None

    @field_validator("own")
    @classmethod
    def _own(cls, own: str | None) -> str | None:
        match own:
            case "value":
                raise ValueError("is not what I like")
            case "assertion":
                raise AssertionError
        return own


WRONG: tuple[Any, ...] = (None, True, 0, 11, 3, -1.5, "", "x", "abcd", [], ["x"], [1, 2, 3], {}, {"n": "x"}, {"x": 1})


def told(model: type[BaseModel], content: Mapping[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(content, strict=True, extra="forbid")
    return [(fault.field, fault.message) for fault in faults_of(caught.value, content, "the fields")]


@pytest.mark.parametrize("field", sorted(Wide.model_fields.keys() - {"host"}))
def test_no_word_of_the_validator_gets_out(field: str) -> None:
    refused = 0
    for wrong in (*WRONG, {"kind": "cow"}, {"kind": "cat", "lives": None}, "value", "assertion"):
        content = {field: wrong}
        try:
            Wide.model_validate(content, strict=True, extra="forbid")
        except ValidationError:
            refused += 1
            faults = told(Wide, content)
            assert len({path for path, _ in faults}) == len(faults), "each field once"
            for path, message in faults:
                assert message and not any(word in message.lower() for word in VALIDATORS_WORDS), message
                assert set(path.split(".")) <= {field, "n", "kind", "lives", "bones", "x", "0", "1", "2"}
    assert refused


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        ({"whole": "2"}, "whole", "should be a whole number, not a string"),
        ({"whole": 2.5}, "whole", "should be a whole number"),
        ({"whole": 10}, "whole", "should be less than 9"),
        ({"text": None}, "text", "should be a string, not null"),
        ({"text": "a"}, "text", "should have at least 2 characters"),
        ({"many": []}, "many", "should have at least 1 entry"),
        ({"choice": "c"}, "choice", "should be a or b"),
        ({"inner": {}}, "inner.n", "is required"),
        ({"inner": {"n": 1, "m": 2}}, "inner.m", "unknown field"),
        ({"new": 1}, "new", "unknown field; known are the fields"),
        ({"either": []}, "either", "should be a whole number or a string, not an array"),
        ({"by_name": {"a": "1"}}, "by_name.a", "should be a whole number, not a string"),
        ({"pet": {"kind": "cat"}}, "pet.lives", "is required"),
        ({"own": "value"}, "own", "is not what I like"),
        ({"host": "nowhere"}, "host", "value is not a valid IPv4 or IPv6 address"),
    ],
)
def test_a_fault_says_what_should_stand_there(content: Mapping[str, Any], path: str, message: str) -> None:
    assert told(Wide, content) == [(path, message)]


def test_of_content_that_is_wrong_everywhere_only_the_number_is_told() -> None:
    [(path, message)] = told(Wide, {"by_name": dict.fromkeys(map(str, range(600)), "x")})
    assert path == "" and "600 places" in message
