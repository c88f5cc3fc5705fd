"""The units are taken by systemd without a word, and keep what is promised about draining and restarting."""

import os
import shutil
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from secondunit.cli.host.units import BACKUP, PROGRAM, SERVICE, UNITS, filled, shipped

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "secondunit.service"

ANALYZES = shutil.which("systemd-analyze") is not None and (os.geteuid() == 0 or Path("/run/systemd").is_dir())
needs_systemd = pytest.mark.skipif(
    not ANALYZES, reason="no systemd-analyze here, or systemd never ran: THE UNIT WAS NOT VERIFIED"
)


def service() -> dict[str, str]:
    parser = ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep the case of keys
    parser.read(UNIT)
    return dict(parser["Service"])


@pytest.fixture
def installed(tmp_path: Path) -> Mapping[str, str]:
    """The paths of the units with a program that is there, since systemd looks for it."""
    for name in UNITS:
        (tmp_path / name).write_text(filled(shipped(name), Path("/bin/true"), [Path("/srv/my media"), Path("/100%")]))
    return {name: str(tmp_path / name) for name in UNITS}


def analyzed(*argv: str) -> CompletedProcess[str]:
    return run(["systemd-analyze", *argv], capture_output=True, text=True, timeout=50, check=False)


@needs_systemd
def test_systemd_verifies_the_units_without_a_warning(installed: Mapping[str, str]) -> None:
    done = analyzed("verify", *installed.values())
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", [SERVICE, BACKUP])
def test_the_units_are_exposed_little(installed: Mapping[str, str], name: str) -> None:
    done = analyzed("security", "--offline=true", "--threshold=20", installed[name])
    assert done.returncode == 0, done.stdout


def test_each_unit_is_filled_with_the_program_of_this_installation() -> None:
    for name in (SERVICE, BACKUP):
        text = filled(shipped(name), Path("/elsewhere/secondunit"), [])
        assert "ExecStart=/elsewhere/secondunit " in text and PROGRAM not in text
    assert "\nReadWritePaths=-/srv/media\n" in filled(shipped(SERVICE), Path(PROGRAM), [Path("/srv/media")])


def test_a_drain_fits_into_the_time_to_stop() -> None:
    assert int(service()["TimeoutStopSec"]) > 300, "DRAIN_SECONDS is 300 unless set"
    assert service()["KillMode"] == "mixed", "control-group would TERM ffmpeg at once"


def test_bad_configuration_is_not_restarted_but_a_held_database_is() -> None:
    assert service()["Restart"] == "on-failure"
    assert service()["RestartPreventExitStatus"].split() == ["78"]


def test_what_confines_programs_is_allowed_by_name() -> None:
    allowed = UNIT.read_text().split("SystemCallFilter=")[1].split()
    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(allowed)
    assert {"seccomp", "pidfd_getfd"} <= set(allowed)
