"""Examples for Grafana and Prometheus: alerts tell what to do, and promtool accepts the rules and fires each."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT
from tests.e2e.monitoring.promql import DASHBOARD, EXAMPLES, RULES, used

MUST_COVER = {
    "SecondUnitDown", "SecondUnitDegraded", "SecondUnitQueueOld", "SecondUnitJobsFail", "SecondUnitDeliveriesDead",
    "SecondUnitDeliveriesFail", "SecondUnitDiskLow", "SecondUnitBackupOld", "SecondUnitBackupUnverified",
    "SecondUnitBudgetSpent", "SecondUnitPausedForLong", "SecondUnitPoison", "SecondUnitNoPoll",
}  # fmt: skip


def test_a_metric_or_a_label_that_is_not_there_would_be_found() -> None:
    assert used('sum by (type) (secondunit_jobs_queued{job="x", kind=~"y"})', "{{type}}") == {
        "secondunit_jobs_queued": {"kind", "type"}
    }
    assert used("secondunit_sandbox == 1", "{{ $labels.layer }} of {{ $labels.instance }}") == {
        "secondunit_sandbox": {"layer"}
    }


def test_each_alert_says_what_it_means_and_what_to_do() -> None:
    assert {rule["alert"] for rule in RULES} >= MUST_COVER
    for rule in RULES:
        runbook = rule["annotations"]["runbook"]
        assert runbook.startswith("It means: ") and " To do: " in runbook, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "warn")


def test_the_dashboard_shows_each_part_and_each_panel_asks_something() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Now", "Queue", "Runs", "Failures", "Money", "Deliveries", "Disk and process"]
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in panels if not panel["targets"]] == []
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.fixture(scope="module")
def promtool() -> Path:
    found = shutil.which("promtool", path=f"{CHECKOUT / '.cache/promtool/usr/bin'}:/usr/local/bin:/usr/bin:/bin")
    if found is None:
        pytest.skip("there is no promtool: `make tests` takes it out of Debian's prometheus, where that can be had")
    return Path(found)


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("check", "rules", "secondunit.rules.yml"),
        ("test", "rules", "secondunit.rules.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_the_rules_and_its_tests_fire_each(promtool: Path, command: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *command], check=False, cwd=EXAMPLES, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtools_tests_fire_every_rule() -> None:
    fired = re.findall(r'alertname="(\w+)"', (EXAMPLES / "secondunit.rules.test.yml").read_text())
    assert {rule["alert"] for rule in RULES} - set(fired) == set()
