"""What the command line shows: foreign text moves no terminal, rows in their columns."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from secondunit.cli import output
from tests.unit.cli.calls import shown

FOREIGN = "\x1b]0;owned\x07a\nb\x9b31m\u202e\u2028c[red]\ud83d"


def job_of(text: str) -> dict[str, Any]:
    return {
        "jobId": "job_a", "type": text, "status": "failed", "progress": 0, "attempt": 1, "maxAttempts": 2,
        "createdAt": datetime.now(UTC).isoformat(), "payload": {"inputPath": text, text: [text]}, "message": text,
        "phase": text, "error": {"class": "transient", "type": text, "message": text}, "missing": [text],
    }  # fmt: skip


def test_foreign_text_forges_no_line_of_a_table_and_moves_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    job = job_of(FOREIGN) | {"source": FOREIGN, "sourceId": FOREIGN}
    output.table([job, job])
    assert "\\x1b]0;owned" in shown(capsys, 3)
    output.columns([("JOB", "SOURCE"), ("job_a", FOREIGN)])
    shown(capsys, 2)
    row = {"id": FOREIGN, "kind": FOREIGN, "status": "dead", "attempts": 3, "url": FOREIGN, "lastError": FOREIGN}
    tries = [{"at": FOREIGN, "duration": 250, "status": 503, "error": FOREIGN}] * 2
    output.deliveries([row | {"finishedAt": None, "nextAt": FOREIGN, "tries": tries}])
    shown(capsys, 3)
    output.sentence({"type": "job:progress", "progress": 1, "jobType": FOREIGN, "jobId": FOREIGN, "message": FOREIGN})
    shown(capsys, 1)
    output.detail({"status": "failed", "message": FOREIGN, "phase": FOREIGN})
    shown(capsys, 3)


def test_each_try_of_a_delivery_stands_below_it_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "id": "msg_a",
        "kind": "callback",
        "status": "delivered",
        "attempts": 2,
        "url": "http://a/",
        "lastError": None,
    }
    tries = [
        {"at": "T1", "duration": 15000, "status": None, "error": "no answer within 15 s"},
        {"at": "T2", "duration": 20, "status": 204, "error": None},
    ]
    output.deliveries([row | {"finishedAt": "T3", "nextAt": None, "tries": tries}])
    assert capsys.readouterr().out.splitlines() == [
        "msg_a  callback  delivered  tries 2  T3  http://a/",
        "  T2  20 ms  204",
        "  T1  15000 ms  no answer  no answer within 15 s",
    ]


def test_a_jobs_values_stand_in_one_column_however_long_their_names_are(capsys: pytest.CaptureFixture[str]) -> None:
    job = {"type": "hls", "firstStartedAt": "x", "payload": {"n": 1}, "paused": False, "runAt": None}
    output.detail({**job, "duration": 642, "totalDuration": 200_642})
    assert capsys.readouterr().out.splitlines() == [
        "type:           hls",
        "firstStartedAt: x",
        "payload:        {",
        '                  "n": 1',
        "                }",
        "duration:       0.6 s",
        "totalDuration:  3 min 21 s",
    ]


def test_json_output_moves_no_terminal_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for show in (output.printed, output.line):
        show(job_of(FOREIGN))
        told = capsys.readouterr().out
        assert told.replace("\n", "").isprintable() and json.loads(told)["message"] == FOREIGN


def test_what_is_said_keeps_its_own_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("first\nsecond \x1b[2J\r", err=True)
    assert shown(capsys, 2) == "first\nsecond \\x1b[2J\\r\n"


def test_a_progress_bar_takes_foreign_text_for_text(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"type": "job:progress", "jobId": "a", "jobType": "[red]x", "progress": 1, "status": "running"}
    with output.bars() as show:
        show(event | {"message": "[link=http://evil.example]\x9b31m[/nothing]"})
    told = capsys.readouterr().out
    assert "[link=http://evil.example]" in told and "\\x9b31m" in told and "[red]x" in told
