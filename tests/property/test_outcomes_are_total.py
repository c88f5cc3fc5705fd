"""What holds for whatever a handler raises or returns: there is one outcome, and it can be stored and read back."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from secondunit.queue.outcome import (
    HANDLER_BROKE,
    LONGEST_WAIT,
    Deterministic,
    Failed,
    HandlerBroke,
    Postpone,
    Postponed,
    Transient,
    classify,
    told,
    wait_of,
)
from secondunit.queue.payloads.arguments import DEEPEST_JSON, name, number, to_json
from secondunit.queue.payloads.json_text import dump, load


class Mute(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Surrogate(Exception):
    def __str__(self) -> str:
        return "\ud800\0"


PLAIN: list[Callable[[], BaseException]] = [
    lambda: ValueError("x"),
    lambda: Transient("x", delay=1),
    lambda: Postponed("x", delay=1),
    TimeoutError,
    lambda: OSError(28, "full"),
    Surrogate,
]
FINAL: list[Callable[[], BaseException]] = [lambda: Deterministic("x"), lambda: HandlerBroke("x")]
FOREIGN: list[Callable[[], BaseException]] = [
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    asyncio.CancelledError,
    BaseException,
    Mute,
]
ONE = st.sampled_from([*PLAIN, *FINAL, *FOREIGN]).map(lambda make: make())
RAISED = st.recursive(
    ONE, lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda members: BaseExceptionGroup("g", members))
)
DELAYS = st.one_of(st.floats(), st.integers(), st.timedeltas(), st.text(), st.none())
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.builds(object))
KEYS = st.one_of(st.text(), st.integers(), st.none(), st.binary())
RETURNED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(KEYS, inner), st.tuples(inner, inner), inner.map(lambda value: [[[value]]])
    ),
)


def leaves(error: BaseException) -> list[BaseException]:
    return [one for e in error.exceptions for one in leaves(e)] if isinstance(error, BaseExceptionGroup) else [error]


@settings(max_examples=200)
@given(RAISED)
def test_whatever_is_raised_has_an_outcome_and_one_that_can_not_be_helped_decides(error: BaseException) -> None:
    outcome = classify(error)
    kinds = [classify(one) for one in leaves(error)]
    final = [kind for kind in kinds if isinstance(kind, Failed) and not kind.retryable]
    if final:
        assert isinstance(outcome, Failed) and not outcome.retryable
    elif all(isinstance(kind, Postpone) for kind in kinds):
        assert isinstance(outcome, Postpone)
    else:
        assert isinstance(outcome, Failed) and outcome.retryable
    assert isinstance(told(error), str)


@given(RAISED)
def test_what_is_no_exception_of_a_program_is_the_handlers_fault(error: BaseException) -> None:
    if all(isinstance(one, (SystemExit, KeyboardInterrupt, GeneratorExit, Mute)) for one in leaves(error)):
        outcome = classify(error)
        assert isinstance(outcome, Failed) and outcome.error.type == HANDLER_BROKE


@given(DELAYS)
def test_a_delay_is_a_wait_with_an_end_or_refused(delay: Any) -> None:
    try:
        wait = wait_of(delay)
    except HandlerBroke:
        return
    assert timedelta(0) <= wait <= LONGEST_WAIT


@settings(max_examples=200)
@given(RETURNED)
def test_whatever_is_returned_is_refused_or_comes_back_from_a_row(value: Any) -> None:
    try:
        as_json = to_json(value, "it")
    except Deterministic:
        return
    assert load(dump(as_json)) == as_json == json.loads(json.dumps(as_json))


@given(st.integers(1, 3 * DEEPEST_JSON), st.sampled_from(["list", "dict", "both"]))
def test_a_value_is_kept_up_to_the_deepest_level_and_no_deeper(levels: int, kind: str) -> None:
    value: Any = None
    for level in range(levels):
        value = [value] if kind == "list" or (kind == "both" and level % 2) else {"[{": value}
    try:
        assert to_json(value, "it") == value
    except HandlerBroke:
        assert levels > DEEPEST_JSON
    else:
        assert levels <= DEEPEST_JSON


@given(st.one_of(st.floats(), st.text(), st.integers(), st.none()))
def test_progress_is_a_number_or_refused(value: Any) -> None:
    try:
        assert number(value, "progress") == float(value)
    except HandlerBroke:
        assert value is None or isinstance(value, str) or value != value or abs(value) > 1e300  # noqa: PLR0124  NaN


@given(st.one_of(st.text(), st.integers(), st.binary()))
def test_a_name_is_kept_as_it_is_or_refused(value: Any) -> None:
    try:
        assert name(value, "it") == value
        value.encode()
    except HandlerBroke:
        assert (
            not isinstance(value, str)
            or not value
            or "\0" in value
            or len(value) > 1000
            or value != value.encode("utf-8", "replace").decode()
        )
