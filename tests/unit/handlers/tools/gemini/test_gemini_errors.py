"""What HTTP errors of Gemini mean, and what its answers say."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from secondunit.handlers.tools.gemini.errors import judge, next_quota_day
from secondunit.handlers.tools.gemini.model_names import model_name
from secondunit.handlers.tools.gemini.prices import cost
from secondunit.handlers.tools.gemini.responses import GeminiAnswer, Usage, read
from secondunit.handlers.tools.gemini.transport import GeminiHttpError
from secondunit.queue.outcome import Deterministic, Postponed, Transient

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def refused(code: int, *details: Any, retry_after: float | None = None) -> Any:
    wait = None if retry_after is None else timedelta(seconds=retry_after)
    body = {"error": {"message": "no", "details": list(details)}}
    return judge(GeminiHttpError(code, body, wait), "gemini-x", NOW).error


@pytest.mark.parametrize(("text", "seconds"), [("36s", 36), ("0.5s", 0.5), ("36.25s", 36.25), ("99999999s", 86400)])
def test_the_body_says_how_long_to_wait(text: str, seconds: float) -> None:
    assert refused(429, {"retryDelay": text}, retry_after=7).delay == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "36", "-3s", "soon", "1e3s", None, 36])
def test_a_wait_that_can_not_be_read_leaves_the_header(text: Any) -> None:
    assert refused(429, {"retryDelay": text}, retry_after=7).delay == timedelta(seconds=7)


def test_a_failing_service_may_name_its_delay_too() -> None:
    error = refused(503, retry_after=20)
    assert isinstance(error, Transient) and error.delay == timedelta(seconds=20)


@pytest.mark.parametrize("details", [["x"], {"a": 1}, None, 3])
def test_details_of_another_shape_are_passed_over(details: Any) -> None:
    error = judge(GeminiHttpError(429, {"error": {"details": details}}), "m", NOW).error
    assert isinstance(error, Postponed) and error.delay == timedelta(minutes=1)


@pytest.mark.parametrize("body", [{}, {"error": "x"}, {"message": "flat"}, {"error": {"message": None}}])
def test_bodies_of_another_shape_are_still_errors(body: Any) -> None:
    assert isinstance(judge(GeminiHttpError(400, body), "m", NOW).error, Deterministic)


@pytest.mark.parametrize(("hour", "wait"), [(0, 8), (7, 1), (8, 24), (23, 9)])
def test_a_quota_day_is_over_everywhere_in_california_at_eight(hour: int, wait: int) -> None:
    now = NOW.replace(hour=hour)
    assert next_quota_day(now) - now == timedelta(hours=wait)


def test_of_a_daily_and_a_minutely_quota_the_daily_one_counts() -> None:
    violations = [{"quotaId": "GenerateRequestsPerMinute"}, {"quotaId": "GenerateRequestsPerDayPerModel"}]
    assert refused(429, {"violations": violations}, {"retryDelay": "5s"}).delay == timedelta(hours=20)


@pytest.mark.parametrize(
    "body",
    [
        *("", "x", "[]", "null", "3", '{"candidates": null}', '{"candidates": {}}', '{"candidates": [null]}'),
        '{"candidates": [{"content": {"parts": [3, {"text": null}]}}], "usageMetadata": {"promptTokenCount": "9"}}',
        "[" * 100_000,
    ],
)
def test_a_body_of_another_shape_is_an_answer_without_text(body: str) -> None:
    assert read(body) == GeminiAnswer("", None, False, Usage())


def test_thoughts_are_no_part_of_the_text() -> None:
    parts = [{"text": "hm", "thought": True}, {"text": "so"}, {"inlineData": {}}, {"text": "up"}]
    assert read(json.dumps({"candidates": [{"content": {"parts": parts}}]})).text == "soup"


def test_a_total_that_is_not_told_is_summed() -> None:
    body = json.dumps({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 1}})
    assert read(body).usage == Usage(5, 2, 1, 8)


@pytest.mark.parametrize(
    ("model", "day", "dollars"),
    [
        ("gemini-3.8-flash", date(2026, 12, 31), 4.5),
        ("models/gemini-3.8-flash", date(2027, 1, 1), 9.0),
        ("gemini-3.8-flash", date(2020, 1, 1), None),
        ("gemini-unknown", date(2027, 1, 1), None),
    ],
)
def test_a_price_holds_from_its_day_and_is_not_guessed(model: str, day: date, dollars: float | None) -> None:
    assert cost(model, Usage(1_000_000, 600_000, 400_000, 2_000_000), day) == dollars


def test_a_model_has_one_name_and_no_other_prefix_is_taken_off() -> None:
    names = ["gemini-x", "models/gemini-x", "tunedModels/gemini-x"]
    assert [model_name(name) for name in names] == ["gemini-x", "gemini-x", "tunedModels/gemini-x"]
