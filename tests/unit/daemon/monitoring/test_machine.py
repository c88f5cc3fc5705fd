"""Admission by load and memory: when nothing more is started, and how often the machine is looked at."""

from pathlib import Path

import pytest

from secondunit.daemon.monitoring.machine import MachineGuard, disk_of, shortage
from secondunit.testing.clock import ManualClock

MB = 1 << 20


@pytest.mark.parametrize(
    ("load", "memory", "most", "why"),
    [
        (9.0, 300 * MB, None, None),
        (1.5, 300 * MB, 1.5, None),
        (1.51, 300 * MB, 1.5, "the load is 1.51 per core, above 1.5 (MAX_LOAD)"),
        (0.0, 255 * MB, None, "255 MiB of memory are available, and 256 are to stay free (MIN_FREE_MEMORY_MB)"),
        (0.0, 256 * MB, None, None),
        (0.0, None, None, None),
    ],
)
def test_nothing_starts_while_there_is_too_little(
    load: float, memory: int | None, most: float | None, why: str | None
) -> None:
    assert shortage(load, memory, most, 256 * MB) == why


async def test_the_machine_is_looked_at_once_a_second_at_most() -> None:
    clock, looks = ManualClock(), ["MemAvailable:     512 kB\n", "MemAvailable: 999999999 kB\n"]
    guard = MachineGuard(clock, None, 256 * MB, lambda: looks.pop(0))
    assert "0 MiB" in (await guard() or "") and "0 MiB" in (await guard() or "")
    await clock.advance(1.0)
    assert await guard() is None


def test_a_path_that_is_not_there_yet_lies_on_the_disk_of_what_is_above_it(tmp_path: Path) -> None:
    look = disk_of(tmp_path)
    assert look(str(tmp_path / "a" / "b")).name == f"the disk of {tmp_path}"
    assert {look(path).id for path in (None, "s3://bucket/key")} == {tmp_path.stat().st_dev}
