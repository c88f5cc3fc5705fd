import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secondunit.cli import output
from secondunit.cli.demos import environment
from secondunit.cli.main import COMMANDS
from secondunit.cli.submit import Payload
from tests.unit.cli.calls import called

HEAVY = ("aiohttp", "pydantic", "rich", "structlog", "sqlite3")


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
