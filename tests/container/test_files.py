"""The container files: linted, of compose's form, true of what they name. `tests/e2e/container` builds and runs it.

`compose-spec.json` is compose's own schema (compose-spec/compose-go, Apache License 2.0).
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from secondunit.cli.main import COMMANDS
from secondunit.daemon.config.settings import Settings, secret_names

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: Any = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICE: Any = COMPOSE["services"]["secondunit"]
BOXES: Any = yaml.safe_load((ROOT / "examples" / "boxes" / "compose.yaml").read_text())
BOX: Any = {name: service for name, service in BOXES["services"].items() if "build" in service}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINES = [re.sub(r"\s+", " ", line) for line in re.sub(r"\\\n", " ", DOCKERFILE).splitlines() if line[:1].isupper()]
ADDRESS = re.compile(r"https?://|\b[\w-]+\.[\w.-]+/[\w-]+[:@]")


def told(instruction: str) -> list[str]:
    """What each line of this instruction says."""
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{instruction} ")]


def words(instruction: str) -> list[str]:
    """The list of the last line of it, also behind HEALTHCHECK's options."""
    text = told(instruction)[-1]
    return list(json.loads(text[text.index("[") :]))


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in told("ENV")[-1].split())


def lint(text: str) -> str:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "-"], input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_hadolint_has_nothing_to_say() -> None:
    assert lint(DOCKERFILE) == ""


@pytest.mark.parametrize("fault", ["RUN apt-get install git", "USER root", "CMD secondunit run"])
def test_hadolint_would_say_it(fault: str) -> None:
    assert lint(f"{DOCKERFILE}\n{fault}\n") != ""


def test_compose_takes_the_file_and_would_refuse_another() -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)
    jsonschema.validate(BOXES, schema)
    with pytest.raises(jsonschema.ValidationError, match="stop_grace"):
        jsonschema.validate({**COMPOSE, "services": {"secondunit": {**SERVICE, "stop_grace": "1s"}}}, schema)


def test_the_image_has_the_projects_version() -> None:
    assert SERVICE["image"] == f"secondunit:{PROJECT['project']['version']}"


def test_what_it_copies_is_there_and_is_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    sources = {part for line in told("COPY") if "--from" not in line for part in line.split()[:-1]}
    assert all((ROOT / source).exists() for source in sources | let_through)
    assert sources == {source.split("/")[0] for source in let_through} and "*" in ignored
    wanted = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(any(source == one or source.startswith(f"{one}/") for one in let_through) for source in wanted)


def test_its_variables_are_settings_and_its_commands_are_commands() -> None:
    others = {"PATH", "PYTHONSAFEPATH", "CREDENTIALS_DIRECTORY", "SECONDUNIT_CONTAINER"}
    names = {*environment(), *SERVICE["environment"]} - others
    assert names <= {name.upper() for name in Settings.model_fields}
    assert words("ENTRYPOINT") == ["/usr/bin/tini", "--", "secondunit"]
    assert words("CMD") == ["run"] and words("HEALTHCHECK") == ["secondunit", "health"]
    assert {*words("CMD"), words("HEALTHCHECK")[1]} <= COMMANDS.keys()


def test_ports_and_folders_are_the_same_in_both_files() -> None:
    ours = environment()
    assert told("EXPOSE") == [ours["PORT"]]
    assert [port.rsplit(":", 1) for port in SERVICE["ports"]] == [["127.0.0.1:8000", ours["PORT"]]], "on loopback alone"
    mounted = [volume.rpartition(":")[2] for volume in SERVICE["volumes"]]
    assert words("VOLUME") == mounted == [ours["DATA_DIR"], ours["MEDIA_ROOTS"]]
    assert ours["CREDENTIALS_DIRECTORY"] == "/run/secrets", "where compose puts them"


def test_secrets_are_files_named_like_secret_settings_and_stand_nowhere_else() -> None:
    secret = set(secret_names())
    assert set(SERVICE["secrets"]) == COMPOSE["secrets"].keys() <= {name.lower() for name in secret}
    assert not {name.upper() for name in secret} & {*environment(), *SERVICE["environment"]}
    assert all("file" in one for one in COMPOSE["secrets"].values())
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_it_is_stopped_no_sooner_than_it_has_drained() -> None:
    drain = Settings.model_fields["drain_seconds"].default
    assert SERVICE["environment"]["DRAIN_SECONDS"] == str(drain)
    grace = int(SERVICE["stop_grace_period"].removesuffix("s"))
    unit = (ROOT / "systemd" / "secondunit.service").read_text()
    assert f"TimeoutStopSec={grace}\n" in unit and grace >= drain + 30
    assert told("STOPSIGNAL") == ["SIGTERM"]


def test_nobody_in_it_is_root_and_nothing_but_its_volumes_is_written() -> None:
    assert told("USER") == ["10001:10001"] and "--uid 10001" in DOCKERFILE
    assert SERVICE["read_only"] is True and SERVICE["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICE["security_opt"]


def test_three_boxes_share_a_queue_and_nothing_else_but_their_films() -> None:
    names = [service["environment"]["BOX"] for service in BOX.values()]
    assert names == list(BOX) and len({*names}) == 3
    assert len({service["environment"]["QUEUE_URL"] for service in BOX.values()}) == 1
    own, media = zip(*(service["volumes"] for service in BOX.values()), strict=True)
    assert len({*own}) == 3 and all(volume.endswith(f":{environment()['DATA_DIR']}") for volume in own)
    assert (
        {*media} == {f"media:{BOX['one']['environment']['SHARED_ROOTS']}"} == {f"media:{environment()['MEDIA_ROOTS']}"}
    )
    ports = [port for service in BOX.values() for port in service["ports"]]
    assert len({*ports}) == 3 and all(re.fullmatch(r"127\.0\.0\.1:\d+:8000", port) for port in ports)


@pytest.mark.parametrize("name", list(BOX))
def test_a_box_of_three_is_run_as_one_alone_is(name: str) -> None:
    service = BOX[name]
    for same in ("restart", "stop_grace_period", "read_only", "tmpfs", "cap_drop", "security_opt", "pids_limit"):
        assert service[same] == SERVICE[same], same
    assert service["environment"].keys() <= {name.upper() for name in Settings.model_fields}
    assert service["environment"]["DRAIN_SECONDS"] == SERVICE["environment"]["DRAIN_SECONDS"]
    assert service["image"].endswith(f":{PROJECT['project']['version']}")
    assert service["build"]["args"]["EXTRAS"] in PROJECT["project"]["optional-dependencies"]
    assert "passfile=/run/secrets/pgpass" in service["environment"]["QUEUE_URL"] and "pgpass" in service["secrets"]
    assert (
        service["depends_on"] == {"queue": {"condition": "service_healthy"}}
        and "healthcheck" in BOXES["services"]["queue"]
    )


def test_no_registrys_address_stands_in_them() -> None:
    for name in ("Dockerfile", "compose.yaml", "examples/boxes/compose.yaml", ".dockerignore"):
        assert ADDRESS.search((ROOT / name).read_text()) is None
    assert ADDRESS.search("FROM registry.example.com/debian:13") is not None
