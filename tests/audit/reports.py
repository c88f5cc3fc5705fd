"""Reports of pip-audit and `npm audit`, read for what is known, and for what was not asked at all."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Findings:
    """How many packages were looked up, what is known against which, and what could not be looked up."""

    asked: int = 0
    vulnerable: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()

    def __add__(self, other: "Findings") -> "Findings":
        """Both."""
        return Findings(self.asked + other.asked, self.vulnerable + other.vulnerable, self.unasked + other.unasked)


def of_pip_audit(report: Any) -> Findings:
    """Of `pip-audit --format json`, which passes what its service does not know."""
    if not isinstance(report, dict) or not report.get("dependencies"):
        return Findings(unasked=("the Python packages: pip-audit told nothing",))
    packages = report["dependencies"]
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in packages if "skip_reason" in one]
    known = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for one in packages
        for fault in one.get("vulns", ())
    ]
    return Findings(len(packages) - len(skipped), tuple(known), tuple(skipped))


def of_npm(report: Any, folder: str) -> Findings:
    """Of `npm audit --json`."""
    if not isinstance(report, dict) or "vulnerabilities" not in report:
        why = report.get("message", "no report") if isinstance(report, dict) else "npm told nothing"
        return Findings(unasked=(f"the Node packages of {folder}: {why}",))
    known = [f"{name} ({folder}): {one['severity']}, {one['range']}" for name, one in report["vulnerabilities"].items()]
    return Findings(report["metadata"]["dependencies"]["total"], tuple(known))
