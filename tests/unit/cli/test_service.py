"""The service's installation: what is written, what is kept, what is told, and who may do it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

from secondunit.cli.host.account import not_yours
from secondunit.cli.host.installation import Found, installing, obstacles, removing, standing, unsuitable
from secondunit.cli.host.steps import Remove, Run, Step, StepFailed, Tell, Write, take, told
from secondunit.cli.host.units import BACKUP, SERVICE, TIMER, UNITS, Layout, filled, quoted, shipped, unreachable
from secondunit.cli.main import secondunit
from secondunit.daemon.config.loader import BadConfig, load
from secondunit.daemon.main import not_for_root

NOBODY = 65534
PROGRAM = Path("/srv/second unit/bin/secondunit")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root's rights: NOT TESTED")


def at(root: Path, config: str = "") -> Found:
    layout = Layout(root)
    layout.settings.mkdir(parents=True, exist_ok=True)
    if config:
        layout.config.write_text(config)
    settings = load({"STATE_DIRECTORY": "/var/lib/secondunit"}, default_file=layout.config)
    return Found(layout, PROGRAM, settings)


def install(found: Found) -> Sequence[str]:
    """Take every step but the commands; what was told."""
    lines = []
    for step in installing(found):
        lines.append(told(step))
        if isinstance(step, Write):
            take(replace(step, group=None))
    return [line.replace(str(found.layout.root), "") for line in lines]


def test_the_first_installation_says_each_thing_that_it_does(tmp_path: Path) -> None:
    assert install(at(tmp_path)) == [
        "write    /etc/sysusers.d/secondunit.conf",
        "run      systemd-sysusers /etc/sysusers.d/secondunit.conf",
        "write    /etc/tmpfiles.d/secondunit.conf",
        "run      systemd-tmpfiles --create /etc/tmpfiles.d/secondunit.conf",
        "write    /etc/secondunit/config.toml",
        "write    /etc/systemd/system/secondunit.service",
        "write    /etc/systemd/system/secondunit-backup.service",
        "write    /etc/systemd/system/secondunit-backup.timer",
        "run      systemctl daemon-reload",
        "next: look at /etc/secondunit/config.toml, then `systemctl enable --now secondunit secondunit-backup.timer`",
    ]
    assert (tmp_path / "etc/secondunit/config.toml").stat().st_mode & 0o777 == 0o640
    assert f'ExecStart="{PROGRAM}" run' in Layout(tmp_path).unit(SERVICE).read_text()


def test_an_upgrade_keeps_what_is_the_operators_and_the_unit_that_was_there(tmp_path: Path) -> None:
    found = at(tmp_path)
    install(found)
    unit = found.layout.unit(SERVICE)
    unit.write_text("mine")
    found.layout.config.write_text("port = 9\n")
    (drop_in := found.layout.unit(f"{SERVICE}.d") / "override.conf").parent.mkdir()
    drop_in.write_text("mine")

    lines = install(replace(found, active=True))
    assert "keep     /etc/secondunit/config.toml: it is yours" in lines
    assert "keep     /etc/systemd/system/secondunit.service.d: it is yours" in lines
    assert f"update   {unit} (the one before: {unit}.old)".replace(str(tmp_path), "") in lines
    assert "next: `systemctl restart secondunit`; it drains first, and loses nothing" in lines
    assert (found.layout.config.read_text(), drop_in.read_text()) == ("port = 9\n", "mine")
    assert unit.with_name(f"{SERVICE}.old").read_text() == "mine" and "ExecStart=" in unit.read_text()
    assert [line for line in install(found) if line.startswith(("write", "update"))] == []


def test_the_unit_opens_the_folders_that_jobs_may_write_and_says_which_are_missing(tmp_path: Path) -> None:
    media, site = tmp_path / "my media", tmp_path / "100%"
    media.mkdir()
    project = f'[deploy.site]\nrepo_url = "/x"\ndirectory = "{site}"\n'
    found = at(tmp_path, f'media_roots = ["{media}", "/var/lib/secondunit/media"]\n{project}')
    lines = install(found)
    text = found.layout.unit(SERVICE).read_text()
    assert f'\nReadWritePaths="-{media}" -{tmp_path}/100%%\n' in text
    [missing] = [line for line in lines if line.startswith("missing")]
    assert "install -d -o secondunit" in missing and "100%" in missing


def test_settings_that_the_service_could_not_start_with_are_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="PORT"):
        at(tmp_path, "port = 70000\n")


def test_what_is_the_operators_stays_until_it_is_purged(tmp_path: Path) -> None:
    found = at(tmp_path)
    install(found)
    found.layout.state.mkdir(parents=True)
    (found.layout.state / "queue.db").touch()
    steps = list(removing(found.layout, purge=False))
    assert Run(("systemctl", "disable", "--now", TIMER, SERVICE, BACKUP)) in steps
    _take_all_but_commands(steps)
    kept = [step.text for step in steps if isinstance(step, Tell) and step.text.startswith("keep")]
    assert [path in " ".join(kept) for path in (str(found.layout.settings), str(found.layout.state))] == [True, True]
    assert found.layout.config.exists() and (found.layout.state / "queue.db").exists()
    assert not any(found.layout.unit(name).exists() for name in UNITS) and not found.layout.sysusers.exists()

    _take_all_but_commands(list(removing(found.layout, purge=True)))
    assert not found.layout.settings.exists() and not found.layout.state.exists()


def test_of_a_package_only_the_folders_are_opened_beside_its_unit(tmp_path: Path) -> None:
    found = replace(at(tmp_path), layout=Layout(tmp_path, packaged=True))
    assert install(found) == [
        "keep     /usr/lib/systemd/system/secondunit.service: it is the package's",
        "run      systemctl daemon-reload",
        "next: look at /etc/secondunit/config.toml, then `systemctl enable --now secondunit secondunit-backup.timer`",
    ]
    found.layout.config.write_text('media_roots = ["/srv/my films"]\n')
    opened = replace(at(tmp_path), layout=found.layout)
    assert "write    /etc/systemd/system/secondunit.service.d/50-folders.conf" in install(opened)
    assert found.layout.opened.read_text().endswith('[Service]\nReadWritePaths=\nReadWritePaths="-/srv/my films"\n')
    assert standing(opened)[0][0].endswith("50-folders.conf: as this version has it")

    found.layout.config.write_text("")
    closed = replace(at(tmp_path), layout=found.layout)
    install(closed)
    assert found.layout.opened.read_text().endswith("[Service]\nReadWritePaths=\n"), "what was opened is shut again"


def test_the_status_tells_a_unit_that_differs(tmp_path: Path) -> None:
    found = at(tmp_path)
    install(found)
    assert all("as this version has it" in line for line in standing(found)[0][:5])
    found.layout.unit(SERVICE).write_text("old")
    lines, well = standing(found)
    assert not well and any("secondunit.service: differs: `secondunit service install`" in line for line in lines)


def test_without_systemd_or_a_program_that_the_service_can_reach_nothing_is_installed(tmp_path: Path) -> None:
    assert "secondunit run" in " ".join(obstacles(PROGRAM, tmp_path / "none"))
    assert "is not there" in " ".join(obstacles(PROGRAM, tmp_path))
    [home] = unreachable([Path("/home/me/bin/secondunit")])
    assert "ProtectHome" in home and "/opt/secondunit" in home
    assert list(unreachable([Path("/etc/passwd")])) == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('media_roots = ["/"]', "MEDIA_ROOTS: / is the system's"),
        ('media_roots = ["/etc"]', "MEDIA_ROOTS: /etc is the system's"),
        ('media_roots = ["/etc/../var/../usr/share"]', "MEDIA_ROOTS: /etc/../var/../usr/share is the system's"),
        ('data_dir = "/var"', "DATA_DIR: /var is the system's"),
        ('media_roots = ["media"]', "MEDIA_ROOTS: media is relative"),
        ('data_dir = "data"', "DATA_DIR: data is relative"),
        ('queue_url = "sqlite:////etc/queue.db"', "QUEUE_URL: /etc is the system's"),
        ('media_roots = ["/srv"]', f"MEDIA_ROOTS: /srv holds this program ({PROGRAM})"),
    ],
)
def test_folders_that_jobs_must_not_be_let_into_are_refused_with_what_to_do(
    tmp_path: Path, config: str, said: str
) -> None:
    [reason] = unsuitable(at(tmp_path, config))
    assert reason.startswith(said) and "; allowed: a folder" in reason


def test_folders_of_their_own_are_no_reason_to_refuse(tmp_path: Path) -> None:
    assert not list(unsuitable(at(tmp_path)))
    assert not list(unsuitable(at(tmp_path, 'media_roots = ["/srv/media", "/mnt"]\ndata_dir = "/var/lib/su"\n')))


def test_words_are_quoted_as_systemd_reads_them() -> None:
    assert [quoted(word) for word in ("/a/b", "/a b", '/a"b', "/100%")] == ["/a/b", '"/a b"', '"/a\\"b"', "/100%%"]
    assert "ExecStart=/opt/$$x/secondunit run" in filled(shipped(SERVICE), Path("/opt/$x/secondunit"), [])


def test_a_step_that_fails_says_which_it_was(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="false failed"):
        take(Run(("false",)))
    (tmp_path / "file").touch()
    with pytest.raises(StepFailed, match="write"):
        take(Write(tmp_path / "file" / "below", "text"))


def test_a_dry_run_writes_nothing_and_tells_why_it_would_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = CliRunner().invoke(secondunit, ["service", "install", "--dry-run"])
    assert done.exit_code == 0 and "only root may do this" in done.output and "systemctl daemon-reload" in done.output
    refused = CliRunner().invoke(secondunit, ["service", "uninstall"])
    assert refused.exit_code == 1 and "sudo" in refused.output


@needs_root
def test_what_root_makes_in_a_folder_of_the_service_belongs_to_the_service() -> None:
    code = (
        "import os, sys; from pathlib import Path; from secondunit.cli.host.account import act_as_owner;"
        "act_as_owner(Path(sys.argv[1])); Path(sys.argv[1], 'made').touch(); print(os.getuid(), os.getgid())"
    )
    with TemporaryDirectory() as folder:  # pytest's own lies where no other account gets in
        os.chown(folder, NOBODY, NOBODY)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [str(NOBODY)] * 2 and Path(folder, "made").stat().st_uid == NOBODY


@needs_root
def test_root_is_no_daemon_of_the_services_folder(tmp_path: Path) -> None:
    start = "`systemctl start secondunit`"
    assert not_for_root(tmp_path, 0, start, tmp_path) is None, "it is root's own"
    os.chown(tmp_path, NOBODY, NOBODY)
    assert "systemctl start secondunit" in str(not_for_root(tmp_path, 0, start, tmp_path))
    assert not_for_root(tmp_path, NOBODY, start, tmp_path) is None and not_for_root(tmp_path, 0, start) is None


@needs_root
def test_who_may_not_read_the_services_secrets_uses_the_command_line_without_them() -> None:
    code = (
        "import os, sys; from pathlib import Path; from secondunit.daemon.config.loader import load;"
        f"os.setgid({NOBODY}); os.setuid({NOBODY});"
        "print(load({}, default_file=Path(sys.argv[1], 'config.toml'), serves=False).settings.host)"
    )
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "credentials").mkdir(mode=0o700)
        Path(folder, "config.toml").write_text('host = "0.0.0.0"\n')
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "0.0.0.0"


@needs_root
def test_other_users_are_told_that_the_services_settings_are_not_theirs() -> None:
    code = (
        "import os, sys; from pathlib import Path; from secondunit.daemon.config.loader import load;"
        f"os.setgid({NOBODY}); os.setuid({NOBODY});"
        "load({}, default_file=Path(sys.argv[1]))"
    )
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (config := Path(folder, "config.toml")).write_text("")
        config.chmod(0o640)
        done = subprocess.run([sys.executable, "-c", code, str(config)], capture_output=True, text=True, check=False)
    assert f"SECONDUNIT_CONFIG: you may not read {config}" in done.stderr and "`sudo` in front" in done.stderr


def test_who_may_not_is_told_whose_it_is_and_what_to_do(tmp_path: Path) -> None:
    assert tmp_path.owner() in not_yours(tmp_path) and "sudo" in not_yours(tmp_path)
    assert "sudo" in not_yours(tmp_path / "none")


def _take_all_but_commands(steps: Sequence[Step]) -> None:
    for step in steps:
        if isinstance(step, Remove):
            take(step)
