"""A little of `make fuzz`, the same each time; and its judge, which has to find what is planted."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.fuzz.judge import Judge
from tests.fuzz.network import fence
from tests.fuzz.wire import Answer, Call
from tests.openapi.ours import ROOT, ours

JUDGE = Judge(ours("1"))
PROBLEM = {"content-type": "application/problem+json"}
NOT_FOUND = {"type": "urn:secondunit:problem:job-not-found", "title": "No such job", "status": 404, "detail": "x"}


def problem(code: int, **fields: Any) -> Answer:
    return Answer(code, PROBLEM, json.dumps({**NOT_FOUND, "status": code, **fields}).encode())


def breaches(answer: Answer | None, method: str = "GET", path: str = "/api/jobs/x") -> list[str]:
    return list(JUDGE.breaches(Call(method, path), answer))


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(900)  # twelve seconds; on a machine with much else to do, minutes
def test_no_answer_breaks_the_contract() -> None:
    if fence() is None:
        pytest.skip("NOTHING IS FUZZED: there is no leave for a network of its own (`unshare --net`)")
    argv = [sys.executable, "-m", "tests.fuzz", "--quick"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert "0 breaches" in done.stdout


def test_what_the_document_says_is_no_breach() -> None:
    assert breaches(problem(404)) == []
    assert breaches(problem(405), "PUT") == []
    assert breaches(problem(404), path="/nowhere") == []
    event = b'retry: 3000\nid: g1-4\ndata: {"type": "reset", "jobs": []}'
    assert breaches(Answer(200, {"content-type": "text/event-stream"}, event), path="/api/events") == []


def test_a_refusal_is_a_page_for_those_who_may_have_wanted_one() -> None:
    page = Answer(405, {"content-type": "text/html; charset=utf-8"}, b"<!doctype html>")
    assert list(JUDGE.faults(page, "POST", to_people=True)) == []
    assert list(JUDGE.faults(page, "POST")) == ["405 is no problem document but text/html"]
    assert list(JUDGE.faults(Answer(500, page.headers, b""), "POST", to_people=True)) != []


@pytest.mark.parametrize(
    ("answer", "method", "path", "says"),
    [
        (None, "GET", "/health", "no answer"),
        (problem(500), "GET", "/api/jobs/x", "fault of the daemon"),
        (problem(418), "GET", "/api/jobs/x", "418 is not in the document"),
        (problem(405), "GET", "/api/jobs/x", "405 for a method"),
        (problem(404, status=400), "GET", "/api/jobs/x", "another status"),
        (problem(404, detail=None), "GET", "/api/jobs/x", "None is not of type"),
        (problem(418), "GET", "/nowhere", "418 for what is no call"),
        (Answer(404, {"content-type": "text/html"}, b"no"), "GET", "/api/jobs/x", "no problem document but text/html"),
        (Answer(404, PROBLEM, b"no"), "GET", "/api/jobs/x", "is a required property"),
        (Answer(200, {"content-type": "application/json"}, b"{}"), "GET", "/api/jobs", "'jobs' is a required property"),
        (Answer(200, {"content-type": "text/html"}, b"x"), "GET", "/api/jobs", "200 is text/html"),
        (Answer(204, {}, b"x"), "GET", "/api/jobs/x/stream", "204 has a body"),
        (Answer(200, {"content-type": "text/event-stream"}, b"hello"), "GET", "/api/events", "has the line 'hello'"),
    ],
)
def test_a_planted_breach_is_found(answer: Answer | None, method: str, path: str, says: str) -> None:
    found = breaches(answer, method, path)
    assert any(says in breach for breach in found), found


def test_a_fuzzer_that_is_not_fenced_in_sends_nothing() -> None:
    environment: Mapping[str, str] = {**os.environ, "PATH": "/nonexistent"}
    argv = [sys.executable, "-m", "tests.fuzz", "--quick"]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "needs a network of its own" in done.stderr
