"""Audit of the lock files: `python -m tests.audit PIP_AUDIT`, by pip-audit and `npm audit`.

Ends with 0 when everything was looked up and nothing is known against it, 1 for a known vulnerability, 2 when one could
not be looked up: offline, or behind a mirror that does not know of vulnerabilities. What was not asked is never passed.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.audit.reports import Findings, of_npm, of_pip_audit

ROOT = Path(__file__).parents[2]
WITHIN = 600
SHOWN = 5


def audited(pip_audit: str) -> Findings:
    """What is known of all that is locked."""
    locks = [argument for lock in sorted(ROOT.glob("requirements*.lock")) for argument in ("-r", lock.name)]
    python = [pip_audit, "--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json", *locks]
    found = of_pip_audit(_told(python, ROOT))
    for lock in (ROOT / "tests" / "node", ROOT / "benchmarks" / "peers"):
        found += of_npm(
            _told(["npm", "audit", "--package-lock-only", "--json"], lock), lock.relative_to(ROOT).as_posix()
        )
    return found


def _told(argv: Sequence[str], folder: Path) -> object:
    """What a program told as JSON; None for one that told nothing."""
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=WITHIN)
        told: object = json.loads(done.stdout)
    except (ValueError, OSError, subprocess.TimeoutExpired):
        return None
    return told


def main() -> None:
    """Say what was found."""
    found = audited(sys.argv[1])
    for vulnerable in found.vulnerable:
        print(f"KNOWN: {vulnerable}")
    for name in found.unasked[:SHOWN]:
        print(f"NOT ASKED: {name}")
    if len(found.unasked) > SHOWN:
        print(f"NOT ASKED: {len(found.unasked) - SHOWN} others")
    if found.unasked:
        print("The audit is not done: it asks PyPI and the registry of npm themselves; mirrors rarely know.")
    else:
        print(f"{found.asked} packages were looked up; known vulnerabilities: {len(found.vulnerable)}")
    sys.exit(1 if found.vulnerable else 2 if found.unasked else 0)


if __name__ == "__main__":
    main()
