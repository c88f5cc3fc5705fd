"""Command `secondunit health`: what it makes of what the daemon says, or does not say."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from secondunit.cli.main import secondunit

Answering = Callable[[bytes], None]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SECONDUNIT_CONFIG", "/dev/null")
    return tmp_path


def called(*args: str) -> Result:
    return CliRunner().invoke(secondunit, ["health", *args])


def http(first: str, **body: object) -> bytes:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {first}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [("200 OK", "ok", 0), ("200 OK", "degraded", 0), ("503 no", "draining", 0), ("503 no", "failing", 1)],
)
def test_only_a_daemon_that_fails_is_unhealthy(answering: Answering, status: str, word: str, code: int) -> None:
    answering(http(status, status=word, reasons=["disk_low: 3 MiB are free"]))
    found = called()
    assert (found.exit_code, found.output) == (code, f"{word}\ndisk_low: 3 MiB are free\n")


def test_the_whole_report_is_there_as_json(answering: Answering) -> None:
    answering(http("503 no", status="failing", reasons=["x"]))
    found = called("--json")
    assert found.exit_code == 1 and json.loads(found.output) == {"status": "failing", "reasons": ["x"]}


def test_a_daemon_that_does_not_answer_in_time_is_unhealthy(data_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(data_dir / "control.sock"))
        listener.listen()
        found = called("--within", "0.2")
    assert found.exit_code == 1 and "within 0.2 s" in found.output


@pytest.mark.parametrize("body", [{}, {"status": 1}])
def test_what_is_no_report_is_unhealthy(answering: Answering, body: dict[str, object]) -> None:
    answering(http("200 OK", **body))
    found = called()
    assert found.exit_code == 1 and "no answer of ours" in found.output


@pytest.mark.usefixtures("data_dir")
def test_without_a_daemon_it_is_unhealthy() -> None:
    found = called()
    assert found.exit_code == 1 and "no daemon runs" in found.output
