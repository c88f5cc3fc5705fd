"""No pattern of ours backtracks: attacks that are made out of it take time in proportion to their length."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import secondunit
from tests.arch.redos import foreign_digits, uncompiled

ROOT = Path(__file__).parents[2]
PACKAGE = Path(secondunit.__file__).parent
NEIGHBOURS = PACKAGE / "handlers" / "tools" / "programs" / "launching"  # a program that imports what lies beside it


# As they were found, here and elsewhere.
BACKTRACKING = (
    r"(a+)+",
    r"(?:x|xx)*y",
    r"\s*(<!--.*?-->\s*)*<(!doctype html|html|head)[\s>]",
    r";? *(please report this issue|Use --).*",
    r"Protocol .* not found",
    r"(\w+\s?)*!",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r'"(?:[^"\\]|\\.|\\)*"',
    r"(?>a+)b",  # an atomic group begins anew at each letter, unless it is matched at one place only
)
STEADY = (r"[^\]]{0,60}\]", r"(?:[a-z]+-)*[a-z]+", r"(?<![ ]) ++x", r"\d{1,9}(?:\.\d{1,9})?", r"a|b|cd*")
AT_ONE_PLACE = (r"(?>a+)b", r"(?:<!--(?:(?!-->).)*+-->)*+<html")


def checked(module: str, *path: Path) -> list[dict[str, Any]]:
    """What the check says of a module's patterns, in a process that can be ended."""
    environ = {"PYTHONPATH": ":".join(map(str, [*path, ROOT]))}
    argv = [sys.executable, "-W", "ignore", "-m", "tests.arch.redos", module]
    done = subprocess.run(argv, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=1000, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(1100)  # seconds of CPU are what it measures; it must only end
def test_no_pattern_of_the_package_is_steep() -> None:
    found = checked("secondunit", NEIGHBOURS)
    assert len(found) > 70, "most patterns were not found"
    assert [one for one in found if one["steep"]] == []


def test_patterns_that_backtrack_are_found_and_no_others(tmp_path: Path) -> None:
    constants = {f"BAD{n}": pattern for n, pattern in enumerate(BACKTRACKING)}
    constants |= {f"GOOD{n}": pattern for n, pattern in enumerate(STEADY)}
    constants |= {f"PLACED{n}": pattern for n, pattern in enumerate(AT_ONE_PLACE)}
    lines = ["import re", *(f"{name} = re.compile({pattern!r})" for name, pattern in constants.items())]
    lines += [f"PLACED{n}.match('')" for n in range(len(AT_ONE_PLACE))]
    (tmp_path / "planted.py").write_text("\n".join(lines))
    found = {one["at"].removeprefix("planted."): bool(one["steep"]) for one in checked("planted", tmp_path)}
    assert found == {name: name.startswith("BAD") for name in constants}


def test_every_pattern_is_a_constant_of_its_module_where_the_check_finds_it() -> None:
    hidden = [
        f"{path.relative_to(ROOT)}:{line}" for path in PACKAGE.rglob("*.py") for line in uncompiled(path.read_text())
    ]
    assert hidden == []


def test_no_pattern_takes_foreign_digits_for_digits() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "fingerprint.py"  # where any number is as good as another
        for line in foreign_digits(path.read_text())
    ]
    assert found == [], "write [0-9], or re.ASCII: \\d is also what int() reads in other scripts"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("A = re.compile(r'\\d+')", [1]),
        ("A = re.compile(r'[\\d.]+', re.IGNORECASE)", [1]),
        ("B = 'x'\nA = re.compile(rf'\\d{B}')", [2]),
        ("A = re.compile(r'\\d+', re.ASCII)", []),
        ("A = re.compile(rb'\\d+')", []),
        ("A = re.compile(r'[0-9]\\\\d')", []),
    ],
)
def test_a_pattern_with_foreign_digits_is_found(source: str, lines: list[int]) -> None:
    assert list(foreign_digits(source)) == lines


@pytest.mark.parametrize(
    "source",
    [
        "import re\ndef f(x): return re.search('a+', x)",
        "import re\nFOUND = re.match('a+', 'b')",
        "from re import compile\n",
        "import re\nclass A:\n    P = re.compile('a+')",
        "import re\ndef f(x): return re.compile(x)",
    ],
)
def test_a_pattern_out_of_the_sight_of_the_check_is_found(source: str) -> None:
    assert list(uncompiled(source))


def test_payloads_and_bodies_are_matched_by_the_engine_that_does_not_backtrack() -> None:
    backtracking = [path for path in PACKAGE.rglob("*.py") if "regex_engine" in path.read_text()]
    assert backtracking == []  # pydantic's own is Rust's regex crate
