"""Field errors: what a validator found, in the words of JSON and under the path that the caller wrote."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from secondunit.queue.errors import FieldError

MOST_FAULTS = 500  # listing one takes 4 us, finding it less than one
UNKNOWN = "unknown field"
MISFIT = "has a value that does not fit"
VALIDATORS = frozenset(get_args(ErrorType)) - {"value_error", "assertion_error"}
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("string_type", "string_sub_type", "bytes_type", "url_type"), "a string"),
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), "an array"),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), "an object"
    ),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing"), "an ISO 8601 time"),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), "an ISO 8601 date"),
    **dict.fromkeys(("time_type", "time_parsing"), "an ISO 8601 time of day"),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), "an ISO 8601 duration"),
    **dict.fromkeys(("uuid_type", "uuid_parsing"), "a UUID"),
    **dict.fromkeys(("url_parsing", "url_syntax_violation"), "a URL"),
    "none_required": "null",
    "finite_number": "a finite number",
    "timezone_aware": "a time with its time zone",
    "timezone_naive": "a time without a time zone",
}
BOUNDS: Mapping[str, Callable[[Any], str]] = {
    "greater_than": lambda told: f"should be greater than {_plain(told['gt'])}",
    "greater_than_equal": lambda told: f"should be at least {_plain(told['ge'])}",
    "less_than": lambda told: f"should be less than {_plain(told['lt'])}",
    "less_than_equal": lambda told: f"should be at most {_plain(told['le'])}",
    "multiple_of": lambda told: f"should be a multiple of {_plain(told['multiple_of'])}",
    "string_too_short": lambda told: f"should have at least {_counted(told['min_length'], 'character')}",
    "string_too_long": lambda told: f"should have at most {_counted(told['max_length'], 'character')}",
    "too_short": lambda told: f"should have at least {_counted(told['min_length'], 'entry', 'entries')}",
    "too_long": lambda told: f"should have at most {_counted(told['max_length'], 'entry', 'entries')}",
    "string_pattern_mismatch": lambda told: f"should match {told['pattern']}",
    "literal_error": lambda told: f"should be {_plain(told['expected'])}",
    "enum": lambda told: f"should be {_plain(told['expected'])}",
    "url_scheme": lambda told: f"should be a URL that begins with {_plain(told['expected_schemes'])}",
    "url_too_long": lambda told: f"should have at most {_counted(told['max_length'], 'character')}",
    "union_tag_invalid": lambda told: f"should have {_plain(told['expected_tags'])} at {_plain(told['discriminator'])}",
    "union_tag_not_found": lambda told: f"needs {_plain(told['discriminator'])}",
}
SAID: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": UNKNOWN,
    "string_unicode": "holds text that is no Unicode",
    "json_invalid": "is no JSON that can be stored",
    "recursion_loop": "is nested too deep",
    "invalid_key": "has a key that is no string",
}


def faults_of(error: ValidationError, content: Mapping[str, Any], known: str = "") -> Iterator[FieldError]:
    """What is wrong with each field of this content, each field once.

    `known` lists the names that stand at the top. Of content that is wrong in more places than anybody reads, only how
    many.
    """
    if (count := error.error_count()) > MOST_FAULTS:
        yield too_many(count)
        return
    details = error.errors(include_url=False, include_input=False)
    found = [(*_place(detail, content), detail) for detail in details]
    # Each branch of a union says what it misses; the caller has written one field.
    for path, alike in groupby(found, key=lambda one: one[0]):
        yield FieldError(".".join(path), _joined([_message(detail, given, path, known) for _, given, detail in alike]))


def too_many(places: int) -> FieldError:
    """Content that is wrong in more places than anybody reads."""
    return FieldError("", f"does not fit in at least {places} places, which are too many to be listed")


def _place(detail: Any, content: Any) -> tuple[tuple[str, ...], Any]:
    """The parts of a fault's place that the caller wrote (no branch of a union), and what stands there."""
    path: list[str] = []
    for part in detail["loc"]:
        match content:
            case Mapping() if part in content:
                content = content[part]
            case list() | tuple() if isinstance(part, int) and part < len(content):
                content = content[part]
            case Mapping() if detail["type"] == "missing" and part == detail["loc"][-1]:
                content = None
            case _:
                continue
        path.append(str(part))
    return tuple(path), content


def _joined(messages: Sequence[str]) -> str:
    """What each branch wants, in one sentence: should be a whole number or a string, not an array."""
    heads = dict.fromkeys(message.partition(", not ")[0] for message in messages)
    [*_, tail] = (message.partition(", not ")[1:] for message in messages)
    return " or ".join(heads).replace(" or should be ", " or ") + "".join(tail)


def _message(detail: Any, given: Any, path: tuple[str, ...], known: str) -> str:
    kind, told = detail["type"], detail.get("ctx") or {}
    if kind == "extra_forbidden" and len(path) == 1 and known:
        return f"{UNKNOWN}; known are {known}"
    if kind not in VALIDATORS:  # the model's author has said it
        return str(told.get("error", detail["msg"].removeprefix("Input "))) or MISFIT
    if kind in KINDS:
        return f"should be {KINDS[kind]}{_but(kind, given)}"
    if kind in BOUNDS:
        return BOUNDS[kind](told)
    return SAID.get(kind, MISFIT)


def _but(kind: str, given: Any) -> str:
    """What was given in its place, where that is another sort of value; never the value, which may be a secret."""
    match given:
        case None:
            sort = "null"
        case bool():
            sort = "a boolean"
        case int() | float():
            sort = "a number"
        case str():
            sort = "a string"
        case Mapping():
            sort = "an object"
        case _:
            sort = "an array"
    if kind.endswith("_parsing"):
        return ""
    return "" if sort == KINDS[kind] or (sort == "a number" and "number" in KINDS[kind]) else f", not {sort}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _plain(words: object) -> str:
    return str(words).replace("'", "").removesuffix(".0")
