"""Logs: one line an event, with all keys, readable by machines, and without secrets."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from secondunit.daemon.config.loader import load
from secondunit.daemon.formats import milliseconds
from secondunit.daemon.monitoring import job_log
from secondunit.daemon.process import logs
from secondunit.queue import state
from secondunit.queue.instrumentation import HandlerRaised, JobsMoved, RunEstimated, SinkBroke, Sinks
from secondunit.queue.model import Event, EventName, Status, Submission
from secondunit.queue.outcome import JobError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = 'hunter"2\\x'


class Ticks:
    """A clock whose time is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    async def tick(self, every: float) -> None:
        await self.sleep(every)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("json", "debug", [SECRET], stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def event(name: EventName, status: Status, **more: Any) -> Event:
    return Event("job_a", "hls", name, NOW, status, **more)


def test_a_line_has_every_key_in_one_order(stream: io.StringIO) -> None:
    structlog.get_logger("here").info("daemon.ready", message="it is", port=3)
    [line] = lines(stream)
    assert tuple(line)[: len(logs.KEYS)] == logs.KEYS
    assert (line["event"], line["logger"], line["level"], line["message"]) == ("daemon.ready", "here", "info", "it is")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None and line["port"] == 3


def test_a_line_of_a_library_has_its_text_as_message(stream: io.StringIO) -> None:
    logging.getLogger("library").warning("lost %s", "it")
    [line] = lines(stream)
    assert (line["event"], line["logger"], line["message"]) == ("log", "library", "lost it")


def test_no_secret_gets_out_not_even_in_a_traceback_or_escaped(stream: io.StringIO) -> None:
    log = structlog.get_logger("here")
    log.info("a", message=f"key {SECRET}", nested={"deep": [SECRET]})
    logging.getLogger("library").warning("header %r", {"X-API-Key": SECRET})
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("b")
        logging.getLogger("library").exception("c")
    text = stream.getvalue()
    assert text.count("***") == 5
    for form in (SECRET, json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1], "hunter"):
        assert form not in text


def test_the_level_holds_for_us_and_for_libraries(stream: io.StringIO) -> None:
    logs.configure("json", "warning", [], stream)
    structlog.get_logger("there").info("quiet")
    logging.getLogger("library").info("quiet")
    assert stream.getvalue() == ""


def test_console_lines_are_for_people(stream: io.StringIO) -> None:
    logs.configure("console", "info", [SECRET], stream)
    structlog.get_logger("person").info("daemon.ready", message=f"it is ready {SECRET}", port=3)
    text = stream.getvalue()
    assert "it is ready ***" in text and "port=3" in text and "None" not in text


def test_a_job_is_logged_from_its_start_to_its_end_with_the_time_it_took(stream: io.StringIO) -> None:
    clock = Ticks()
    sink = job_log.JobLog(clock)
    sink(JobsMoved([event("queued", Status.QUEUED), event("started", Status.RUNNING)]))
    clock.seconds = 1.5
    error = JobError("deterministic", "unreadable", "no such thing")
    sink(JobsMoved([event("progress", Status.RUNNING, progress=0.5, phase="encode")]))
    took = timedelta(milliseconds=1499.6)
    sink(JobsMoved([event("failed", Status.FAILED, attempt=3, error=error, duration=took)]))
    told = lines(stream)
    assert [line["event"] for line in told] == ["job.queued", "job.started", "job.progress", "job.settled"]
    settled = told[-1]
    assert (settled["status"], settled["attempt"], settled["elapsed_ms"]) == ("failed", 3, milliseconds(took))
    assert (settled["job_id"], settled["type"], settled["event_type"]) == ("job_a", "hls", "job:failed")
    assert settled["message"] == "hls job job_a failed after 1.5 s: no such thing" and settled["level"] == "error"
    assert told[2]["phase"] == "encode"


def test_a_run_is_logged_with_what_it_is_expected_to_take(stream: io.StringIO) -> None:
    job = state.submit(Submission("hls", {}), "job_a", NOW).job
    sink = job_log.JobLog(Ticks())
    sink(RunEstimated(job, 83.25, 4.0, 140.5, 3))
    sink(RunEstimated(job, 2.0, 2.0, None, 1))
    told, other = lines(stream)
    assert told["message"] == "hls job job_a will take about 83.2 s and 140 s of CPU time, by 3 earlier runs"
    figures = [told[name] for name in ("event", "job_id", "seconds", "error_seconds", "cpu_seconds", "runs")]
    assert figures == ["job.estimated", "job_a", 83.25, 4.0, 140.5, 3]
    assert other["message"] == "hls job job_a will take about 2 s, by 1 earlier run"


def test_an_error_that_can_not_be_written_down_is_told_by_its_class_and_its_job(stream: io.StringIO) -> None:
    class Unspeakable(Exception):
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise SystemExit(3)

    job = state.submit(Submission("own", {}), "job_a", NOW).job
    Sinks(job_log.JobLog(Ticks()))(HandlerRaised(job, Unspeakable()))
    [line] = lines(stream)
    assert (line["event"], line["job_id"], line["raised"]) == ("sink.broke", "job_a", "Unspeakable")


def test_the_log_says_that_a_sink_broke_and_never_writes_down_the_error_itself(stream: io.StringIO) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise SystemExit(3)

    job_log.JobLog(Ticks())(SinkBroke(job_log, JobsMoved([]), Unspeakable()))
    [line] = lines(stream)
    assert (line["event"], line["level"], line["fact"]) == ("sink.broke", "error", "JobsMoved")
    assert line["message"] == "module could not take JobsMoved: Unspeakable"


def test_the_lines_that_operators_watch_for_are_as_they_were() -> None:
    passive = job_log.mode_lines(load({}).settings)
    assert passive == (
        "[Passive Mode] Starting in PASSIVE mode (default)",
        "[Passive Mode] Waiting for requests on /analyze and /analyze-from-url endpoints",
    )
    active = job_log.mode_lines(
        load({"PROCESSOR_MODE": "active", "BACKEND_API_URL": "https://api.production.com"}).settings
    )
    assert active == (
        "[Active Mode] Starting in ACTIVE mode",
        "[Active Mode] Will poll https://api.production.com every 60000ms",
        "[Active Mode] Starting active worker (poll interval: 60.0s)",
        "[Active Mode] Backend API: https://api.production.com",
    )


def test_a_box_that_polls_nothing_does_not_say_that_it_will() -> None:
    settings = load({"PROCESSOR_MODE": "active", "BACKEND_API_URL": "https://api.production.com"}).settings
    assert job_log.mode_lines(settings, polls=False) == ("[Active Mode] Starting in ACTIVE mode",)


def test_a_traceback_for_people_shows_no_variables(stream: io.StringIO) -> None:
    logs.configure("console", "info", [], stream)
    token = "t0ken-of-a-frame".upper()
    try:
        raise ValueError("no use")
    except ValueError:
        structlog.get_logger("here").exception("b")
    assert "no use" in stream.getvalue() and token not in stream.getvalue()


@pytest.mark.parametrize("secret", ['caf\u00e9"s\\key', "plain-key", "tab\tkey", "'quoted'"])
@pytest.mark.parametrize("format", ["json", "console"])
def test_a_secret_is_found_however_a_line_quotes_it(stream: io.StringIO, secret: str, format: str) -> None:
    logs.configure(format, "info", [secret], stream)
    log = structlog.get_logger("here")
    for value in (secret, repr([secret]), json.dumps([secret]), {"a": {secret: {1, 2}}}, ValueError(secret), b"x"):
        log.info("a", message="m", value=value)
    text = stream.getvalue()
    assert text.count("***") == 5 and len(text.splitlines()) == 6
    assert "key" not in text and "quoted" not in text


def test_a_library_whose_line_does_not_fit_together_gives_no_secret_away(stream: io.StringIO) -> None:
    complaints = io.StringIO()
    logs.configure("json", "debug", [SECRET], stream)  # pytest's own handler, which raises, is not among them
    with redirect_stderr(complaints):
        logging.getLogger("library").warning("a number %d", SECRET)
    [line] = lines(stream)
    assert (line["event"], line["level"]) == ("log.broken", "error")
    assert "library" in line["message"] and "test_logs.py" in line["message"]
    assert "hunter" not in stream.getvalue() + complaints.getvalue()


FOREIGN = "film\n2026-01-01 [info] all is well\x1b]0;owned\x07\x9b31m\u202e.mp4"


@pytest.mark.parametrize("format", ["json", "console"])
def test_foreign_text_forges_no_line_and_moves_no_terminal(stream: io.StringIO, format: str) -> None:
    logs.configure(format, "info", [], stream)
    log = structlog.get_logger("here")
    log.info("a", message=f"got {FOREIGN}", path=FOREIGN, deep={"path": [FOREIGN]})
    logging.getLogger("library").warning("got %s", FOREIGN)
    text = stream.getvalue()
    assert text.count("\n") == 2 and text.replace("\n", "").isprintable()


def test_a_traceback_for_people_stands_back_from_the_lines(stream: io.StringIO) -> None:
    logs.configure("console", "info", [], stream)
    try:
        raise ValueError(FOREIGN)
    except ValueError:
        structlog.get_logger("here").exception("a", message="it broke")
    first, *others = stream.getvalue().splitlines()
    assert "it broke" in first and others and all(line.startswith("    ") for line in others)
    assert "".join(others).isprintable()


def test_what_is_printed_to_stderr_is_a_line_of_the_log(stream: io.StringIO) -> None:
    with redirect_stderr(logs.Strays()):
        print("a warn", end="", file=sys.stderr)
        print("ing\nand \x1b[31m another", file=sys.stderr)
    assert [(line["event"], line["message"]) for line in lines(stream)] == [
        ("stderr", "a warning"),
        ("stderr", "and \x1b[31m another"),
    ]


def test_the_line_that_tells_of_lost_ones_looks_like_the_others(stream: io.StringIO) -> None:
    tell = logs.configure("json", "error", [], stream)
    told = json.loads(tell(7))
    assert tuple(told)[: len(logs.KEYS)] == logs.KEYS
    assert (told["event"], told["level"], told["lines"]) == ("log.lost", "warning", 7)
    assert "7 lines" in told["message"] and stream.getvalue() == ""
