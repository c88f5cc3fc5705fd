"""What only a start finds is found by `config check`, too."""

import socket
from pathlib import Path
from typing import Any

import pytest

from secondunit.cli.host.start_faults import faults
from secondunit.daemon.config.loader import BadConfig, load
from secondunit.daemon.config.settings import Settings
from secondunit.handlers.tools.programs.sandbox.measuring import OFF


def settings(folder: Path, **environ: str) -> Settings:
    return load({"DATA_DIR": str(folder), "SECONDUNIT_CONFIG": "/dev/null", "PORT": "0"} | environ).settings


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {"DATA_DIR": "{}/text"},
            "DATA_DIR: {}/text: {}/text is no folder; allowed: a folder, or where one can be made",
        ),
        ({"DATA_DIR": "{}/text/in"}, "DATA_DIR: {}/text/in: {}/text is no folder"),
        ({"QUEUE_URL": "sqlite:///{}/text/queue.db"}, "QUEUE_URL: {}/text/queue.db: {}/text is no folder"),
        ({"QUEUE_URL": "sqlite:///{}"}, "QUEUE_URL: {}: {} is a folder; allowed: a file"),
    ],
)
def test_a_place_where_nothing_can_be_kept_is_found(tmp_path: Path, environ: dict[str, str], told: str) -> None:
    (tmp_path / "text").write_text("")
    given = {name: value.replace("{}", str(tmp_path)) for name, value in environ.items()}
    with pytest.raises(BadConfig) as caught:
        load({"DATA_DIR": str(tmp_path), "SECONDUNIT_CONFIG": "/dev/null"} | given, starts=True)
    [fault] = caught.value.faults
    assert fault.startswith(told.replace("{}", str(tmp_path)))


async def lacking(*_: Any) -> Any:
    return OFF


def test_a_sandbox_that_is_required_and_not_whole_is_found(tmp_path: Path) -> None:
    [fault] = faults(settings(tmp_path, SANDBOX="require"), lacking)
    assert fault.startswith("SANDBOX: it is required, but not whole here (")
    assert faults(settings(tmp_path, SANDBOX="auto"), lacking) == []


def test_a_host_that_is_not_this_machines_is_found(tmp_path: Path) -> None:
    told = faults(settings(tmp_path, HOST="192.0.2.1", API_KEY="a-key-of-some-length"))
    assert told == ["HOST: 192.0.2.1 is no address of this machine; allowed: one that is"]


@pytest.mark.parametrize(
    ("user", "why"), [("nobody-of-this-name", "there is no account"), ("root", "root is the superuser")]
)
def test_an_account_that_nothing_can_be_built_under_is_found(tmp_path: Path, user: str, why: str) -> None:
    file = tmp_path / "config.toml"
    project = f'repo_url = "https://example.org/site.git"\ndirectory = "{tmp_path}/site"\nuser = "{user}"'
    file.write_text(f"[deploy.site]\n{project}\n")
    [fault] = faults(settings(tmp_path, SECONDUNIT_CONFIG=str(file)))
    assert fault.startswith(f"deploy.site.user: {why}")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_somebody_listens_at_is_found(tmp_path: Path, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = str(server.getsockname()[1])
        [fault] = faults(settings(tmp_path, HOST=host, PORT=port))
        assert fault.startswith(f"PORT: {port} is in use on {host}; allowed: ")
