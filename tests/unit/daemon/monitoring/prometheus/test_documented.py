"""The table of metrics in docs/monitoring.md is made of the code."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from secondunit.daemon.monitoring.prometheus.exposition import Exposition, Standing
from secondunit.daemon.monitoring.prometheus.families import Described
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.queue.store import Store
from secondunit.testing.clock import ManualClock

DOCUMENT = Path(__file__).parents[5] / "docs" / "monitoring.md"
BEGIN, END = "test_documented.py -->\n", "<!-- end -->"
INFO = dict.fromkeys(("version", "box", "mode"), "")


def catalogue() -> list[Described]:
    metrics = Metrics(ManualClock())
    Exposition(metrics, cast(Store, None), ManualClock(), Standing(info=INFO))
    return metrics.families.catalogue


def table() -> Iterator[str]:
    yield "| name | kind | labels | what it says |"
    yield "| --- | --- | --- | --- |"
    for one in catalogue():
        labels = " ".join(f"`{label}`" for label in one.labels)
        yield f"| `{one.name}` | {one.kind} | {labels} | {one.text} |"


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    standing, _, after = rest.partition(END)
    made = "\n".join(table()) + "\n"
    if os.environ.get("WRITE_DOCS"):
        DOCUMENT.write_text(before + BEGIN + made + END + after)
        return
    assert standing == made, "WRITE_DOCS=1 pytest this file writes it anew"


def test_each_metric_says_what_it_is_and_no_two_share_a_name() -> None:
    found = catalogue()
    assert len({one.name for one in found}) == len(found)
    assert [one.name for one in found if not one.text.endswith(".") or "|" in one.text] == []
