"""What was not asked is no pass: tools for audits tell of it in many ways, and end with 0 for some."""

from typing import Any

import pytest

from tests.audit.reports import Findings, of_npm, of_pip_audit

FAULT = {"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": [], "description": "x"}
CLEAN = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 7}}}


def test_what_is_known_names_the_version_that_mends_it() -> None:
    report = {
        "dependencies": [{"name": "a", "version": "2.0", "vulns": [FAULT]}, {"name": "b", "version": "1", "vulns": []}]
    }
    assert of_pip_audit(report) == Findings(2, ("a 2.0: PYSEC-1, mended in 2.1",))


def test_a_package_that_the_service_does_not_know_was_not_asked() -> None:
    found = of_pip_audit({"dependencies": [{"name": "a", "skip_reason": "not found"}]})
    assert (found.asked, found.unasked) == (0, ("a: not found",))


@pytest.mark.parametrize("report", [None, {}, [], {"dependencies": []}])
def test_a_tool_that_told_nothing_has_asked_nothing(report: Any) -> None:
    assert of_pip_audit(report).unasked and of_npm(report, "tests/node").unasked


def test_npm_says_why_it_could_not_ask() -> None:
    [why] = of_npm({"message": "405 Method Not Allowed", "statusCode": 405}, "tests/node").unasked
    assert why == "the Node packages of tests/node: 405 Method Not Allowed"


def test_findings_are_added_up() -> None:
    fault = {"vulnerabilities": {"x": {"severity": "high", "range": "<2"}}, "metadata": {"dependencies": {"total": 3}}}
    found = of_npm(CLEAN, "a") + of_npm(fault, "b") + of_npm(None, "c")
    assert (found.asked, found.vulnerable) == (10, ("x (b): high, <2",))
    assert found.unasked == ("the Node packages of c: npm told nothing",)
