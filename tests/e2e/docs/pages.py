"""Pages of the documentation as their tests read them: blocks of commands, settings, and the marks in front of them.

`<!-- run "what it shows" -->` has a block of commands run; `<!-- not run: why -->` says why one is not;
`<!-- booted BOX... "what it shows" -->` has one of a runbook run on these boxes.

Standard library only: the boxes read them, too.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = re.compile(r'run(?: "(?P<shows>[^"]*)")?')
BOXES = "old|standby|again|mirror|new"
BOOTED = re.compile(rf'booted (?P<boxes>(?:{BOXES})(?: (?:{BOXES}))*) "(?P<shows>[^"]*)"')
NOT_RUN = re.compile(r"not run: \w.{9,}")
HEADING = re.compile(r"^(#+) ", re.MULTILINE)
OTHERS = ("build-system", "project", "tool")  # a TOML block with one of these is no file of settings


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the mark in front of it."""

    mark: str
    kind: str
    text: str

    @property
    def shows(self) -> str | None:
        """What its commands show when they are run; None where they are not."""
        found = RUN.fullmatch(self.mark)
        return (found["shows"] or "") if found else None

    @property
    def booted(self) -> tuple[Sequence[str], str] | None:
        """The boxes on which a runbook has its commands run, and what they show there."""
        found = BOOTED.fullmatch(self.mark)
        return (found["boxes"].split(), found["shows"]) if found else None

    @property
    def said(self) -> bool:
        """Whether it is run, or its page says why it is not."""
        return self.shows is not None or NOT_RUN.fullmatch(self.mark) is not None


def blocks(text: str) -> Sequence[Block]:
    """Those of a page, in order."""
    return [Block(found["mark"] or "", found["kind"], found["text"]) for found in BLOCK.finditer(text)]


def settings(text: str) -> str:
    """The settings that a page shows, as one file."""
    shown = [block.text for block in blocks(text) if block.kind == "toml"]
    return "\n".join(one for one in shown if not set(tomllib.loads(one)) & set(OTHERS))


def outline(text: str) -> Sequence[str]:
    """The depths of a page's headings and the kinds of its blocks, in order; what stands in a block is no heading."""
    bare = BLOCK.sub(lambda found: f"```{found['kind']}", text)
    return [line.split(" ")[0] for line in bare.splitlines() if HEADING.match(line) or line.startswith("```")]
