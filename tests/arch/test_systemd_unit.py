"""The unit is one that systemd takes without a word, and that keeps what is promised about draining and restarting."""

import shutil
from configparser import ConfigParser
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "secondunit.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: THE UNIT WAS NOT VERIFIED"
)


def service() -> dict[str, str]:
    parser = ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep the case of keys
    parser.read(UNIT)
    return dict(parser["Service"])


@pytest.fixture
def installed_unit(tmp_path: Path) -> Path:
    """The unit with a program that is there, since systemd looks for it."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/secondunit/.venv/bin/secondunit", "/bin/true"))
    return copy


@needs_systemd
def test_systemd_verifies_the_unit_without_a_warning(installed_unit: Path) -> None:
    done = run(
        ["systemd-analyze", "verify", str(installed_unit)], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_exposed_little(installed_unit: Path) -> None:
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(installed_unit)]
    done = run(argv, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout


def test_a_drain_fits_into_the_time_to_stop() -> None:
    assert int(service()["TimeoutStopSec"]) > 300, "DRAIN_SECONDS is 300 unless set"
    assert service()["KillMode"] == "mixed", "control-group would TERM ffmpeg at once"


def test_bad_configuration_is_not_restarted_but_a_held_database_is() -> None:
    assert service()["Restart"] == "on-failure"
    assert service()["RestartPreventExitStatus"].split() == ["78"]


def test_landlock_is_allowed_by_name() -> None:
    text = UNIT.read_text()
    for call in ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"):
        assert call in text
