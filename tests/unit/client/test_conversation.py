"""The decisions of the clients, without a socket: what is asked again, after how long, and when it is enough."""

from typing import Any

import pytest

from secondunit.client import calls, conversation
from secondunit.client.conversation import Answer, Done, Send, Sleep
from secondunit.client.errors import ClientError, NoAnswer, Refused

GET = calls.get("job_a")
LOST = NoAnswer("cut off")


def asked(*outcomes: Answer | NoAnswer, patience: float = 60) -> tuple[list[float], Any]:
    """How long was waited between the tries, and what came of it."""
    steps, waits, came = conversation.ask(GET, patience), [], iter(outcomes)
    outcome: Any = None
    try:
        while not isinstance(effect := conversation.advance(steps, outcome), Done):
            outcome = next(came) if isinstance(effect, Send) else None
            if isinstance(effect, Sleep):
                waits.append(effect.seconds)
    except ClientError as error:
        return waits, error
    return waits, effect.value


def answer(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_what_passes_by_is_asked_again_a_little_later_each_time() -> None:
    tries: list[Answer | NoAnswer] = [
        LOST,
        answer(502),
        answer(408),
        answer(503, b"<html>"),
        answer(200, b"<html>a proxy's page"),
        answer(200, b'{"jobId": "job_a"}'),
    ]
    assert asked(*tries) == ([0.2, 0.5, 1, 2, 4], {"jobId": "job_a"})
    _, error = asked(answer(200, b"<html>a proxy's page"), patience=0)
    assert isinstance(error, NoAnswer) and "no JSON: <html>" in str(error)


def test_the_daemon_says_when_and_its_caller_how_long_in_all() -> None:
    assert asked(answer(429, Retry_After="7"), answer(200))[0] == [7]
    assert asked(answer(503, retry_after="soon"), answer(200))[0] == [0.2], "no whole seconds, no date: our own"
    today = "Sun, 29 Nov 2026 20:00:00 GMT"
    until = answer(503, Retry_After="Sun, 29 Nov 2026 20:00:07 GMT", Date=today)
    assert asked(until, answer(200))[0] == [7], "by the clock of who says so"
    assert asked(answer(503, Retry_After=today), answer(200))[0] == [0.2], "nobody says when that is"
    assert asked(answer(503, Retry_After="Sat, 28 Nov 2026 20:00:00 GMT", Date=today), answer(200))[0] == [0.2]
    waits, error = asked(answer(507, Retry_After="60"), answer(507, Retry_After="60"))
    assert waits == [60] and isinstance(error, Refused) and error.retry_after == 60 and error.sent == 2
    assert asked(LOST, patience=0) == ([], LOST)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422, 500])
def test_what_stays_as_it_is_is_asked_once(status: int) -> None:
    waits, error = asked(answer(status, b'{"type": "urn:secondunit:problem:some-word", "detail": "why"}'))
    assert waits == [] and isinstance(error, Refused) and (error.status, error.kind) == (status, "some-word")
    assert "why" in str(error)


def test_an_answer_about_a_job_that_has_ended_is_final() -> None:
    waits, error = asked(answer(502, b'{"jobId": "job_a", "detail": "its retries are used up"}'))
    assert waits == [] and isinstance(error, Refused)


def test_the_error_names_the_fields() -> None:
    _, error = asked(answer(422, b'{"title": "t", "errors": [{"field": "payload.width", "message": "at least 1"}]}'))
    assert str(error) == "422 payload.width: at least 1"
