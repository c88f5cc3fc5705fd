"""What doctor says is to be done can be done where the daemon runs: under systemd, in a container, or by hand."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.cli.diagnosis import process, programs, situation, store
from secondunit.cli.diagnosis.situation import NOT_READABLE, Situation
from secondunit.cli.host.units import Layout
from secondunit.daemon.config.surroundings import BOOTED, CONTAINER, IN_CONTAINER, PROCESS, SERVICE, surroundings
from secondunit.daemon.diagnosis.checks import CheckResult, Examination, examined
from secondunit.daemon.diagnosis.report import origin_of
from tests.ports import free_port

OF_SYSTEMD = ("systemctl", "journalctl", "timedatectl")


def box(root: Path, **environ: str) -> Situation:
    """A service's folder below `root`, as the daemon of a container or of systemd has it, without a daemon."""
    data = root / "var/lib/secondunit"
    data.mkdir(parents=True, exist_ok=True)
    given = {"DATA_DIR": str(data), "SECONDUNIT_CONFIG": os.devnull, **environ}
    return asyncio.run(situation.found(given, Layout(root), {}))


def everything_wrong(here: Situation) -> Iterator[CheckResult]:
    """What the checks say whose remedies name commands of the machine."""
    hangs = replace(here, hangs=True, silence="it hangs", faults=[f"{NOT_READABLE} x"])
    yield from process.settings(hangs)
    yield from process.daemon(hangs)
    yield from process.daemon(here)
    yield from process.daemon(replace(here, refused=True, silence="no"))
    yield from process.clock(replace(here, now=process.WRITTEN - timedelta(days=1)))
    yield programs.judged("2020.01.01", here.now, here.around.programs)
    yield from store._backups(here, None)
    copies = here.settings.data_dir / "backups"
    copies.mkdir()
    (copy := copies / "secondunit-20200101T000000Z.db").touch()
    os.utime(copy, (time.time() - 9 * 86400,) * 2)
    (copies / f"{copy.name}.verified").touch()
    yield from store._backups(here, None)

    async def forbidden() -> list[CheckResult]:
        raise PermissionError(13, "no", "/x")

    yield from asyncio.run(examined([Examination("x", forbidden)], here.around.access))


@pytest.mark.parametrize(("kind", "words"), [("container", "outside of the container"), ("process", "secondunit run")])
def test_where_no_systemd_runs_no_remedy_asks_for_it(tmp_path: Path, kind: str, words: str) -> None:
    here = box(tmp_path, **({IN_CONTAINER: "1"} if kind == "container" else {}))
    remedies = [check.remedy for check in everything_wrong(here) if check.state != "ok"]
    assert len(remedies) >= 9 and all(remedies)
    assert [text for text in remedies if any(word in text for word in OF_SYSTEMD)] == []
    assert any(words in text for text in remedies)
    assert kind != "container" or not any("sudo" in text for text in remedies), "there is none in the image"


def test_under_systemd_remedies_are_its_commands(tmp_path: Path) -> None:
    (tmp_path / BOOTED).mkdir(parents=True)
    remedies = " ".join(check.remedy for check in everything_wrong(box(tmp_path)))
    assert all(word in remedies for word in OF_SYSTEMD)


def test_a_setting_that_is_not_in_effect_is_told_with_where_the_daemon_has_it_from(tmp_path: Path) -> None:
    (file := tmp_path / "config.toml").write_text(f"port = {free_port()}\nmax_concurrent_jobs = 9\n")
    here = box(tmp_path, SECONDUNIT_CONFIG=str(file))
    running = {"PORT": 9000, "MAX_CONCURRENT_JOBS": 9}
    told = replace(here, report={"settings": running, "origins": {"PORT": "environment", "MAX_CONCURRENT_JOBS": "x"}})
    [check] = [check for check in process.settings(told) if "other values" in check.found]
    assert check.found.endswith("for PORT (it has it from: environment)")
    [check] = [one for one in process.settings(replace(told, report={"settings": running})) if "other" in one.found]
    assert check.found.endswith("for PORT"), "a daemon of an older version says nothing of that"


def test_a_value_is_a_files_the_environments_or_a_default() -> None:
    given = {"port": "/etc/secondunit/config.toml", "host": "environment", "concurrency_hls": "environment"}
    names = ("port", "host", "concurrency", "timeout", "data_dir")
    found = [origin_of(name, given) for name in names]
    assert found == ["/etc/secondunit/config.toml", "environment", "concurrency_hls environment", "default", "default"]


def test_a_daemon_of_a_folder_of_ones_own_is_no_service_and_one_in_the_image_always_in_a_container(
    tmp_path: Path,
) -> None:
    (tmp_path / BOOTED).mkdir(parents=True)
    service = tmp_path / "var/lib/secondunit"
    assert surroundings(service, {}, tmp_path) is SERVICE
    assert surroundings(tmp_path / "data", {}, tmp_path) is PROCESS
    assert surroundings(service, {IN_CONTAINER: "1"}, tmp_path) is CONTAINER
    assert surroundings(tmp_path / "data", {"container": "podman"}, tmp_path) is PROCESS, "one that people work in"
