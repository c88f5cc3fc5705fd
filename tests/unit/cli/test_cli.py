"""The command line: quick, with the exit codes and the output that scripts rely on."""

import json
import socket
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from secondunit.cli import output
from secondunit.cli.demos import environment
from secondunit.cli.main import COMMANDS, secondunit
from secondunit.cli.submit import Payload

HEAVY = ("aiohttp", "pydantic", "rich", "structlog", "sqlite3")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SECONDUNIT_CONFIG", "/dev/null")
    return tmp_path


def called(*args: str) -> Result:
    return CliRunner().invoke(secondunit, args)


def test_help_lists_every_command_and_imports_none_of_them() -> None:
    script = (
        "import sys; from secondunit.cli.main import secondunit\n"
        "secondunit.main(['--help'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    result = called(command, "--help")
    assert result.exit_code == 0 and result.output.startswith("Usage: ")
    assert COMMANDS[command].split()[0] in result.output


@pytest.mark.parametrize("args", [["nothing"], ["submit"], ["jobs", "list", "--status", "lost"], ["run", "--fast"]])
def test_wrong_usage_ends_with_2(args: list[str]) -> None:
    assert called(*args).exit_code == 2


def test_config_show_prints_settings_with_their_source_and_no_secret(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "a-secret-of-some-length")
    text = called("config", "show").output
    assert f"{data_dir}" in text and "(environment)" in text and "a-secret" not in text
    values = json.loads(called("config", "show", "--json").output)
    assert values["API_KEY"]["value"] == "***" and values["PORT"]["value"] == 8000


@pytest.mark.usefixtures("data_dir")
def test_config_check_ends_with_78_and_every_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "0")
    assert called("config", "check").exit_code == 0
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("LOG_LEVEL", "x")
    result = called("config", "check")
    assert result.exit_code == 78
    assert "PORT: " in result.output and "LOG_LEVEL: " in result.output


@pytest.mark.usefixtures("data_dir")
def test_config_check_finds_a_port_that_is_taken_unless_by_the_daemon_of_these_settings(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        told = called("config", "check")
        assert (told.exit_code, told.output) == (
            78,
            f"PORT: {port} is in use on 127.0.0.1; allowed: a free one, or 0 for any (stop what uses it, perhaps)\n",
        )
        with closing(socket.socket(socket.AF_UNIX)) as control:
            control.bind(str(data_dir / "control.sock"))
            control.listen()
            assert called("config", "check").exit_code == 0
    assert called("config", "check").exit_code == 0, "what is left of a socket is nobody's daemon"


@pytest.mark.usefixtures("data_dir")
def test_config_check_finds_an_account_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "0")
    file = tmp_path / "config.toml"
    table = '[deploy.site]\nrepo_url = "https://example.com/site.git"\ndirectory = "{}"\nuser = "{}"\n'
    monkeypatch.setenv("SECONDUNIT_CONFIG", str(file))
    file.write_text(table.format(tmp_path / "www", "nobody-of-this-name"))
    told = called("config", "check")
    assert told.exit_code == 78 and "deploy.site.user: there is no account 'nobody-of-this-name' here" in told.output
    file.write_text(table.format(tmp_path / "www", "daemon"))
    assert called("config", "check").exit_code == 0


def test_config_check_and_run_name_misplaced_folders_beside_every_other_fault(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("DATA_DIR", str(data_dir / "not" / "made"))
    monkeypatch.setenv("MEDIA_ROOTS", f"{data_dir}:{data_dir / 'none'}")
    told = called("config", "check")
    assert told.exit_code == 78
    faults = told.output.splitlines()
    assert [fault.partition(":")[0] for fault in faults] == ["PORT", "MEDIA_ROOTS", "MEDIA_ROOTS"]
    assert f"{data_dir / 'none'}: No such file" in faults[1] and f"{data_dir} contains DATA_DIR" in faults[2]
    argv = [sys.executable, "-m", "secondunit", "run"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (78, faults), "and nothing was made"
    assert not list(data_dir.iterdir())
    assert called("jobs", "list").exit_code == 78, "PORT is everybody's, folders are not"


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize("args", [["submit", "hls"], ["jobs", "cancel", "job_x"], ["jobs", "tail"]])
def test_what_needs_the_daemon_says_how_to_start_one(args: list[str]) -> None:
    result = called(*args)
    assert result.exit_code == 1
    assert "secondunit run" in result.output


@pytest.mark.usefixtures("data_dir")
def test_looking_without_a_daemon_and_without_a_queue_makes_no_queue(data_dir: Path) -> None:
    result = called("jobs", "list")
    assert result.exit_code == 1 and "there is no queue" in result.output
    assert not list(data_dir.iterdir())


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"n": 1}', {"n": 1}),
        ("n=1", {"n": 1}),
        ("name=a b=c", {"name": "a b=c"}),
        ('qualities=["480p"]', {"qualities": ["480p"]}),
        ("empty=", {"empty": ""}),
    ],
)
def test_a_payload_is_json_or_pairs(text: str, fields: dict[str, object]) -> None:
    assert Payload().convert(text, None, None) == fields


def test_a_payload_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"n": 3}')
    assert Payload().convert(f"@{tmp_path / 'p.json'}", None, None) == {"n": 3}


@pytest.mark.parametrize("text", ["[1]", "@/nonexistent", "{broken", "word", "=3"])
def test_another_payload_is_wrong_usage(text: str) -> None:
    result = called("submit", "hls", "-p", text)
    assert result.exit_code == 2 and "Error" in result.output


def test_no_help_shows_an_escape_that_was_meant_for_its_layout() -> None:
    texts = [called(command, "--help").output for command in COMMANDS]
    assert [text for text in texts if "\\" in text or "\b" in text] == []
    assert "secondunit submit hls -p" in called("submit", "--help").output


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"outputDir": "/out", "inputPath": "/in/film.mp4"}, "/in/film.mp4"),
        ({"n": 3, "place": "a\nb"}, "a\nb"),  # which the table shows as it shows all foreign text
        ({"url": "https://example.org/" + "x" * 50 + "/end.mp4"}, "x" * 29 + "/end.mp4"),
        ({"n": 3}, ""),
        (None, ""),
    ],
)
def test_a_list_shows_the_end_of_what_a_job_works_on(payload: object, shown: str) -> None:
    assert output._input({"payload": payload}).removeprefix("...") == shown


@pytest.mark.parametrize(
    ("seconds", "age"), [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (86400 * 2, "2 d")]
)
def test_an_age_is_told_in_the_largest_unit_that_counts_two(seconds: float, age: str) -> None:
    created = datetime.now(UTC) - timedelta(seconds=seconds + 0.3)
    assert output._age(created.isoformat()) == age


def test_the_demos_find_their_examples_in_a_checkout() -> None:
    found = environment.examples("media/clip.mp4", "backend/server.mjs")
    assert (found / "media" / "still.jpg").is_file()


FOREIGN = "\x1b]0;owned\x07a\nb\x9b31m\u202e\u2028c[red]\ud83d"


def job_of(text: str) -> dict[str, Any]:
    return {
        "jobId": "job_a", "type": text, "status": "failed", "progress": 0, "attempt": 1, "maxAttempts": 2,
        "createdAt": datetime.now(UTC).isoformat(), "payload": {"inputPath": text, text: [text]}, "message": text,
        "phase": text, "error": {"class": "transient", "type": text, "message": text}, "missing": [text],
    }  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], lines: int) -> str:
    """What was printed: so many lines, and nothing in them that a terminal would obey."""
    told = "".join(capsys.readouterr())
    assert told.replace("\n", "").isprintable(), repr(told)
    assert told.count("\n") == lines, told
    return told


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


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["x"], 2, "--scope"),
        (["x", "--scope", "root"], 2, "'root' is not one of"),
        (["x", "--scope", "read", "--expires", "soon"], 2, "such as 90d"),
        (["backend", "--scope", "read"], 1, "name: is taken"),
        (["x", "--scope", "read", "--rate", "fast"], 1, "rate: should be N/second"),
        (["x", "--scope", "read", "--expires", "٩٠d"], 2, "such as 90d"),
        (["x", "--scope", "read", "--rate", "6٠/minute"], 1, "rate: should be N/second"),
        (["x", "--scope", "submit", "--types", "hls,nope"], 1, "types.1: is no job type; known are analyze, deploy"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_by_the_command(args: list[str], code: int, says: str) -> None:
    refused = called("keys", "add", *args)
    assert refused.exit_code == code and says in refused.output
