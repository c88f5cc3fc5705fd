"""Expressions of the examples for Grafana and Prometheus: which metrics they name, and which labels of each."""

import json
import re
from collections.abc import Iterator, Mapping

import yaml

from tests.e2e.conftest import CHECKOUT

EXAMPLES = CHECKOUT / "examples" / "monitoring"
RULES = yaml.safe_load((EXAMPLES / "secondunit.rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
OF_PROMETHEUS = {"instance", "job", "alertname", "severity", "__name__"}
SELECTOR = re.compile(r"\b(secondunit_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on|ignoring|without) \(([^)]*)\)")


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression, with the text that shows its labels to a person."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]
    for rule in RULES:
        yield rule["expr"], " ".join(rule["annotations"].values())


def used(expression: str, text: str) -> Mapping[str, set[str]]:
    """The metrics that it names, with the labels that it uses of each, be it in the text alone."""
    shown = set(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", text))
    grouped = {label.strip() for labels in GROUPING.findall(expression) for label in labels.split(",") if label.strip()}
    named = {name: set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", labels)) for name, labels in SELECTOR.findall(expression)}
    return {name: (labels | grouped | shown) - OF_PROMETHEUS for name, labels in named.items()}
