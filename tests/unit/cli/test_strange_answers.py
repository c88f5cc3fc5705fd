"""JSON that the command line can't use: a word and an exit code for it, never a traceback."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import UnixConnector
from click.testing import CliRunner, Result

from secondunit.cli.client import DaemonRefused, at
from secondunit.cli.main import secondunit

Answering = Callable[[bytes], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STRANGE = {
    "no JSON": b"<html>",
    "half": b'{"safe": tr',
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "no Unicode": b'"\xff',
    "another object": b"{}",
    "nothing": b"",
}


def http(body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def called(*args: str, given: str | None = None) -> Result:
    return CliRunner().invoke(secondunit, args, input=given)


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
def test_what_can_not_be_read_is_never_called_safe_nor_unsafe(answering: Answering, body: bytes) -> None:
    answering(http(body))
    result = called("check", "--json")
    assert isinstance(result.exception, SystemExit) and result.exit_code == 3
    assert (found := json.loads(result.stdout))["safe"] is None and "can't be known" in found["why"]


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 99\r\n\r\n{",
        http(b"<html>", b"HTTP/1.1 500 X\r\n"),
        http(b"[]", b"HTTP/1.1 500 X\r\n"),
        http(b'{"title": 1}', b"HTTP/1.1 503 X\r\n"),
    ],
    ids=["broken off", "an error page", "a list", "another object"],
)
def test_a_daemon_that_does_not_answer_as_one_leaves_it_open_whether_a_restart_is_safe(
    answering: Answering, answer: bytes
) -> None:
    answering(answer)
    result = called("check")
    assert (type(result.exception), result.exit_code) == (SystemExit, 3), result.output
    assert result.output.startswith("can't be known: ")


@pytest.mark.parametrize("body", [STRANGE["no JSON"], STRANGE["deep"]], ids=["no JSON", "deep"])
@pytest.mark.parametrize("command", [("jobs", "list"), ("jobs", "show", "a"), ("keys", "list"), ("types",)])
def test_every_other_command_says_that_it_failed(answering: Answering, body: bytes, command: tuple[str, ...]) -> None:
    answering(http(body))
    result = called(*command)
    assert (type(result.exception), result.exit_code) == (SystemExit, 1)
    assert "no answer of ours" in result.output and len(result.output) < 500


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (("submit", "hls", "-p", "{"), None),
        (("submit", "hls", "-p", '{"a":' * 50_000), None),
        (("submit", "hls", "-p", "@{file}"), "[]"),
        (("submit", "hls", "-p", "@{file}"), "["),
        (("batch", "-"), "{"),
        (("batch", "-"), "[" * 100_000),
        (("batch", "-"), "5"),
        (("batch", "-"), ""),
    ],
)
def test_what_is_given_as_json_and_is_none_is_wrong_usage(tmp_path: Path, args: tuple[str, ...], given: str) -> None:
    (tmp_path / "file").write_text(given or "")
    result = called(*(arg.replace("{file}", str(tmp_path / "file")) for arg in args), given=given)
    assert (type(result.exception), result.exit_code) == (SystemExit, 2)
    assert "JSON" in result.output or "list of jobs" in result.output


async def test_a_daemon_that_takes_a_call_and_says_nothing_is_waited_for_no_longer_than_it_may(tmp_path: Path) -> None:
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_unix_server(silent, tmp_path / "s"):
        with pytest.raises(DaemonRefused, match=r"said nothing for 0\.05 s"):
            async with at("http://localhost", UnixConnector(str(tmp_path / "s")), within=0.05) as client:
                await client.call("GET", "/api/boxes")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), at("http://localhost", UnixConnector(str(tmp_path / "s")), 0.05) as client:
                await client.call("POST", "/api/admin/backup", long=True)
        over.set()
        await asyncio.sleep(0)


def test_a_word_that_is_no_text_is_refused_and_not_left_out(answering: Answering) -> None:
    answering(http(b'{"jobs": []}'))
    result = called("jobs", "list", "-q", "\udcff")
    assert (type(result.exception), result.exit_code) == (SystemExit, 1)
    assert "no UTF-8 text" in result.output


def test_events_of_a_job_that_is_none_are_not_waited_for(answering: Answering) -> None:
    answering(http(b'{"title": "No such job", "detail": "no job has the id job_x"}', b"HTTP/1.1 404 X\r\n"))
    assert "no job has the id job_x" in called("jobs", "tail", "job_x").output


def test_output_that_can_not_be_written_is_said_in_a_line() -> None:
    with Path("/dev/full").open("wb") as full:
        argv = [sys.executable, "-m", "secondunit", "--help"]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "the output can't be written: No space left on device\n")
