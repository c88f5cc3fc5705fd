"""Tables `[[schedule]]`: what they mean, and every fault of them named at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.config.loader import BadConfig, Config, load, shown

WHOLE = """
[[schedule]]
name = "nightly"
cron = "30 3 * * *"
job = { type = "hls", payload = { headers = { Cookie = "s3cret" } }, priority = 4 }

[[schedule]]
name = "每晚 2"
cron = "0 */2 * * mon-fri"
timezone = "Asia/Taipei"
job = { type = "hls", payload = {} }
missed = "all"
overlap = "cancel"
pauseAfterFailures = 3
"""


def loaded(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load({"SECONDUNIT_CONFIG": str(path)})


def faults(tmp_path: Path, text: str) -> Mapping[str, str]:
    with pytest.raises(BadConfig) as caught:
        loaded(tmp_path, text)
    return dict(fault.split(": ", 1) for fault in caught.value.faults)


def table(**keys: Any) -> str:
    whole = {"name": "'nightly'", "cron": "'0 3 * * *'", "job": "{type = 'hls', payload = {}}"} | keys
    return "[[schedule]]\n" + "".join(f"{key} = {value}\n" for key, value in whole.items() if value)


def test_a_schedule_says_little_where_the_usual_is_meant(tmp_path: Path) -> None:
    found = loaded(tmp_path, WHOLE)
    first, second = found.settings.schedule
    assert (first.timezone, first.missed, first.overlap, first.pause_after_failures) == ("UTC", "once", "skip", 0)
    assert (second.missed, second.overlap, second.pause_after_failures) == ("all", "cancel", 3)
    assert second.times().zone.key == "Asia/Taipei"
    assert not found.warnings


def test_a_payload_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    told = shown(loaded(tmp_path, WHOLE).settings)["SCHEDULE"]
    assert told[0]["job"] == {"type": "hls", "payload": "***", "priority": 4}
    assert "s3cret" not in str(told)


def test_every_fault_is_named_with_its_schedule(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        table(cron="'61 * * * *'", timezone="'Taipei'", missed="'never'", pauseAfterFailures="-1", mised="'once'")
        + table(name="'a/b'", job="'hls'", overlap="'kill'")
        + table(name=None, cron=None),
    )
    assert {name: told.partition(";")[0] for name, told in found.items()} == {
        "schedule.nightly.cron": "'61 * * * *': its minute is none that ever comes",
        "schedule.nightly.timezone": "'Taipei' is no time zone",
        "schedule.nightly.missed": "is not a word it knows",
        "schedule.nightly.pauseAfterFailures": "is too small",
        "schedule.nightly.mised": "is not a key of this table",
        "schedule.a/b.name": "'a/b' can't be a name",
        "schedule.a/b.job": "does not fit",
        "schedule.a/b.overlap": "is not a word it knows",
        "schedule.3.name": "is missing",
        "schedule.3.cron": "is missing",
    }
    assert "allowed: skip, once or all" in found["schedule.nightly.missed"]
    assert "pauseAfterFailures" in found["schedule.nightly.mised"]


@pytest.mark.parametrize("name", ["", "a/b", " a", "a ", ".", "..", "a\\u0000b", "a\\u202eb", "a\\nb", "n" * 101])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    [(field, _)] = faults(tmp_path, table(name=f'"{name}"')).items()
    assert field.startswith("schedule.") and field.endswith(".name")


def test_a_name_that_stands_twice(tmp_path: Path) -> None:
    found = faults(tmp_path, table() + table(name="'other'") + table() + table())
    assert found == {"schedule.nightly.name": "3 schedules have it; allowed: a name of its own for each"}


@pytest.mark.parametrize("text", ["schedule = 1", "schedule = ['x']", "[schedule]\nname = 'x'", "schedule = [[]]"])
def test_what_is_no_list_of_tables(tmp_path: Path, text: str) -> None:
    [fault] = faults(tmp_path, text)
    assert fault in ("SCHEDULE", "schedule.1")
