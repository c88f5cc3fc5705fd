"""Blocks of pages outside of the tutorial, how-to and runbooks, as their kinds: commands, calls, settings, answers."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.openapi.ours import ROOT

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|(?<=\n\n))(?:    [^\n]*\n|\n(?=    ))+")
CONTINUED = re.compile(r"\\\n\s*|(?<=[^'])\n(?=\s+\S[^\n]*'$)", re.MULTILINE)  # a JSON body goes on until its quote


def pages() -> Iterator[tuple[str, str]]:
    """Each page with its text, by its path from the root; translations have their originals' blocks."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for path in sorted([*found, *(ROOT / name / "README.md" for name in ("systemd", "benchmarks", "clients/node"))]):
        if "zh-TW" not in str(path) and path.exists():
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def blocks(text: str) -> Sequence[str]:
    """What stands apart in a page, fenced or indented, with its indentation taken off."""
    fenced = [found[2] for found in FENCED.finditer(text)]
    bare = FENCED.sub("", text)
    return [*fenced, *(re.sub(r"^    ", "", one, flags=re.MULTILINE) for one in INDENTED.findall(bare))]


def lines(block: str) -> Sequence[str]:
    """The commands of a block, each on one line, without what is said beside it."""
    whole = CONTINUED.sub(" ", block)
    return [bare for line in whole.splitlines() if (bare := re.sub(r"(?:^|\s{2,})#.*", "", line).strip())]


def settings(block: str) -> Mapping[str, Any] | None:
    """The block as a file of settings, if it is one."""
    try:
        return tomllib.loads(block)
    except tomllib.TOMLDecodeError:
        return None
