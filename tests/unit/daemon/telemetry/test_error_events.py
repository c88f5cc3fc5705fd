"""Sentry events: what is told of an error, and that nothing of a payload, a secret or a local variable is."""

import json
from typing import Any

import pytest

from secondunit.daemon.telemetry.error_events import MOST_FRAMES, event_of, masked

PAYLOAD = {
    "url": "https://me:hunter2@host.example/a?token=abcdef0123",
    "headers": {"Cookie": "session=s3cr3tcookie; theme=dark"},
    "tracks": [{"title": "Grandmother's secret soup"}, 5, None],
}


def raised(error: BaseException) -> BaseException:
    own_password = "local-variable-hunter2"
    with pytest.raises(type(error)) as caught:
        raise error
    assert own_password
    return caught.value


def told(error: BaseException, **more: Any) -> dict[str, Any]:
    return event_of(error, {"job_id": "job_1"}, ["whsec_topsecret"], more.get("payload", PAYLOAD))


@pytest.mark.parametrize(
    "message",
    [
        f"can't fetch {PAYLOAD['url']}",
        "bad value 'https://me:hunter2@host.example/a?tok...",
        "no cookie s3cr3tcookie here",
        "no title (Grandmother's secret soup)",
        "[type=string_type, input_value={'title': 'Grandmother'}]",
        "signed with whsec_topsecret",
        "asked https://other.example/?key=abcdef0123 for it",
    ],
)
def test_no_word_of_a_payload_and_no_secret_is_in_a_message(message: str) -> None:
    text = json.dumps(told(raised(ValueError(message))))
    for hidden in ("hunter2", "s3cr3tcookie", "Grandmother", "topsecret", "abcdef0123"):
        assert hidden not in text


def test_what_is_no_secret_is_told() -> None:
    event = told(raised(KeyError("width")))
    [value] = event["exception"]["values"]
    assert (value["type"], value["module"], value["value"]) == ("KeyError", "builtins", "'width'")
    assert value["stacktrace"]["frames"][-1] | {"lineno": 0} == {
        "filename": "test_error_events.py",
        "function": "raised",
        "module": __name__,
        "lineno": 0,
        "in_app": False,
    }
    assert event["tags"] == {"job_id": "job_1"} and event.keys() == {"level", "platform", "tags", "exception"}


def test_what_it_was_raised_from_stands_before_it_and_is_masked_too() -> None:
    try:
        try:
            raise OSError("no such file /srv/holiday.mp4")
        except OSError as cause:
            raise RuntimeError("it broke") from cause
    except RuntimeError as error:
        values = told(error, payload={"path": "/srv/holiday.mp4"})["exception"]["values"]
    assert [value["type"] for value in values] == ["OSError", "RuntimeError"]
    assert values[0]["value"] == "no such file ***"


def test_of_a_group_the_first_member_is_told_and_causes_that_go_in_a_ring_end() -> None:
    group = ExceptionGroup("two", [ValueError("first"), ValueError("second")])
    assert [value["value"] for value in told(group)["exception"]["values"]] == ["first", "two (2 sub-exceptions)"]
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert len(told(one)["exception"]["values"]) == 8


def test_an_error_that_can_not_be_told_or_is_very_deep_or_long_is_told_all_the_same() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert told(raised(Unspeakable()))["exception"]["values"][0]["type"] == "Unspeakable"

    def deeper(n: int) -> None:
        if n == 0:
            raise ValueError("x" * 10_000)
        deeper(n - 1)

    with pytest.raises(ValueError, match="xxx") as caught:
        deeper(300)
    [value] = told(caught.value)["exception"]["values"]
    assert len(value["stacktrace"]["frames"]) == MOST_FRAMES and len(value["value"]) <= 1000


def test_a_text_without_a_payload_loses_secrets_alone() -> None:
    assert masked("say it: hello", ["hello"]) == "say it: ***"
    assert masked("say it: hello", [""]) == "say it: hello"
