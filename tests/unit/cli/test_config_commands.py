"""config show and config check: settings with their source, every fault, and no secret."""

import json
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.cli.calls import called


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
