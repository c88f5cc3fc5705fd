"""Reference of commands and settings: each is told wherever it should be, and what is written can be read back."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from secondunit.cli.host.installation import Found, installing, removing, standing
from secondunit.cli.host.steps import Remove, Write
from secondunit.cli.host.units import Layout
from secondunit.cli.main import COMMANDS, secondunit
from secondunit.cli.reference.config_file import config_file
from secondunit.cli.reference.man_page import commands, man_page
from secondunit.cli.reference.meanings import EXAMPLES, MEANINGS, meanings
from secondunit.daemon.config.loader import load
from secondunit.daemon.config.settings import PER_TYPE, Settings, secret_names

SETTING = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SECONDUNIT_CONFIG", os.devnull)


def called(*args: str) -> Result:
    return CliRunner().invoke(secondunit, args)


def test_every_setting_has_its_meaning_and_no_other_has() -> None:
    assert MEANINGS.keys() == Settings.model_fields.keys(), "say in meanings.py what it does"
    assert EXAMPLES.keys() - Settings.model_fields.keys() == set()
    assert [name for name, meaning in meanings().items() if not (meaning.text and meaning.allowed)] == []


def test_config_show_tells_what_each_setting_means_and_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config := tmp_path / "config.toml").write_text("port = 9\nconcurrency_hls = 2\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "gemini_api_key").write_text("hunter2-hunter2")
    monkeypatch.setenv("SECONDUNIT_CONFIG", str(config))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("BACKEND_API_URL", "http://me:hunter2@backend.lan")
    told = called("config", "show", "--json")
    rows = json.loads(told.stdout)
    assert "hunter2" not in told.output + called("config", "show").output
    assert rows.keys() == {name.upper() for name in Settings.model_fields}
    assert rows["PORT"] == {
        "value": 9,
        "origin": str(config),
        "meaning": "port to listen on",
        "allowed": "a port, 0 for any free one, 0 to 65535",
        "default": 8000,
    }
    assert rows["GEMINI_API_KEY"]["value"] == "***" and rows["GEMINI_API_KEY"]["default"] is None
    origins = [rows[name]["origin"] for name in ("GEMINI_API_KEY", "BACKEND_API_URL", "HOST", "CONCURRENCY")]
    assert origins == [
        str(tmp_path / "credentials" / "gemini_api_key"),
        "environment",
        "default",
        f"concurrency_hls {config}",
    ]
    assert rows["BACKEND_API_URL"]["value"] == "http://***@backend.lan"
    assert "port to listen on" in called("config", "show").output


def test_config_init_writes_every_setting_and_what_config_check_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.toml"
    done = called("config", "init", str(file))
    assert done.exit_code == 0 and f"SECONDUNIT_CONFIG={file}" in done.output
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert text == config_file() == called("config", "init", "-").output and max(map(len, text.splitlines())) <= 120
    monkeypatch.setenv("SECONDUNIT_CONFIG", str(file))
    monkeypatch.setenv("PORT", "0")
    assert called("config", "check").exit_code == 0
    again = called("config", "init")
    assert again.exit_code == 1 and "stays as it is" in again.output and file.read_text() == text
    refused = called("config", "init", str(tmp_path / "none" / "x"))
    assert refused.exit_code == 1 and "name another FILE" in refused.output


def test_what_config_init_writes_is_valid_with_each_setting_set_and_has_the_defaults(tmp_path: Path) -> None:
    assert not [line for line in config_file().splitlines() if line and line[0] != "#"]
    text = SETTING.sub("", config_file())
    types = EXAMPLES["types"]
    assert f"\ntypes = {types}\n" in text, "which TOML has not beside [types.T.retry]"
    (file := tmp_path / "all.toml").write_text(text.replace(f"\ntypes = {types}\n", ""))
    config = load({}, default_file=file)
    given = {*config.origins, "types"}
    named = {name for name in Settings.model_fields if name not in PER_TYPE}
    assert named - given == set(), "every setting stands in it"
    plain = [name for name in named - {"deploy", "remote_types", "schedule", "retry"} if name not in EXAMPLES]
    bare = Settings.model_validate({})
    assert [name for name in plain if getattr(config.settings, name) != getattr(bare, name)] == []
    assert set(secret_names()) <= given


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_clicks_own(shell: str) -> None:
    done = called("completion", shell)
    assert done.exit_code == 0 and "_SECONDUNIT_COMPLETE" in done.output
    if program := shutil.which(shell):
        checked = subprocess.run([program, "-n"], input=done.output, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("secondunit do", {"doctor"}),
        ("secondunit submit th", {"thumbnail"}),
        ("secondunit jobs list --type we", {"webp"}),
        ("secondunit jobs list --status pa", {"partial"}),
        ("secondunit jobs pause h", {"hls"}),
    ],
)
def test_commands_types_and_statuses_are_completed_without_a_daemon(words: str, offered: set[str]) -> None:
    code = "from secondunit.cli.main import main; main()"
    count = len(words.split()) - 1
    environ = {"_SECONDUNIT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env={**os.environ, **environ}, capture_output=True, text=True, check=True)
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered, done


def test_the_manual_page_has_every_command_option_and_setting() -> None:
    page = man_page(secondunit)
    plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
    assert called("manual").output == page
    found = list(commands(secondunit, ()))
    assert {path[0] for path, _ in found} == set(COMMANDS)
    missing = [path for path, _ in found if f"secondunit {' '.join(path)} " not in plain]
    missing += [option for _, command in found for one in command.params if isinstance(one, click.Option)
                for option in one.opts if option not in plain]  # fmt: skip
    missing += [name for name in Settings.model_fields if f"\n{name.upper()}\n" not in plain]
    assert missing == []


@pytest.mark.skipif(not (shutil.which("man") and shutil.which("groff")), reason="no man here: THE PAGE WAS NOT READ")
def test_the_manual_page_is_read_without_a_warning(tmp_path: Path) -> None:
    (file := tmp_path / "secondunit.1").write_text(man_page(secondunit))
    environ = {"PATH": os.environ["PATH"], "MANWIDTH": "100", "LANG": "C.UTF-8", "MANROFFOPT": "-ww"}
    argv = ["man", "-l", "--warnings=all", str(file)]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == "" and "secondunit doctor [OPTIONS]" in done.stdout


def test_the_page_is_installed_with_the_service_told_when_it_differs_and_taken_away(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    at = Found(layout, Path("/opt/secondunit"), load({}, default_file=layout.config), manual=".TH SECONDUNIT 1\n")
    written = [step for step in installing(at) if isinstance(step, Write) and step.path == layout.manual]
    assert [step.content for step in written] == [".TH SECONDUNIT 1\n"]
    layout.manual.parent.mkdir(parents=True)
    layout.manual.write_text("old")
    assert any(f"{layout.manual}: differs" in line for line in standing(at)[0])
    assert Remove(layout.manual) in list(removing(layout, purge=False))
