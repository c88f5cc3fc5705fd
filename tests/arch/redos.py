"""ReDoS check: attack strings made out of a pattern itself, each searched for under a limit of CPU time.

Python's matcher backtracks and holds the GIL, so a pattern whose work grows faster than its input stops the daemon.
What a pattern repeats is repeated thousands of times here, after what comes before it and before what can't follow it.
Work that grows linearly takes milliseconds then, and four times as long for four times as much; quadratic work takes
sixteen times as long, exponential work for ever.
regexploit was tried for this: it knows no possessive quantifier, and finds nothing in `(<!--.*?-->\\s*)*<html`.

    python -m tests.arch.redos MODULE ...       a line of JSON for each pattern: where it stands, what is steep
"""

import ast
import importlib
import json
import pkgutil
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from re import _constants as c  # type: ignore[attr-defined]  # how a pattern is built is told nowhere else
from re import _parser as parser  # type: ignore[attr-defined]
from types import FrameType, ModuleType
from typing import Any

LONG, SUSPECT = 8_000, 0.001  # characters of an attack, and the seconds of CPU time that call for a second look
LONGER, STEEP, LIMIT = 4, 8.0, 0.6  # so much longer an attack, the growth that is no longer linear, where it is cut off
OFTEN = 8  # repeated at most so often, a part multiplies the work by no more than that
PUMPS, STARTS = 24, 4
WITNESSES = " a0_\n\t-<>\"'(){}[]:;,.=/\\#%&+*?!@x\0é字"
USES: Mapping[str, Callable[[re.Pattern[Any], Any], object]] = {
    "match": lambda pattern, text: pattern.match(text),
    "fullmatch": lambda pattern, text: pattern.fullmatch(text),
    "search": lambda pattern, text: pattern.search(text),
    "sub": lambda pattern, text: pattern.sub(text[:0], text),
    "split": lambda pattern, text: pattern.split(text),
    "findall": lambda pattern, text: pattern.findall(text),
    "finditer": lambda pattern, text: sum(1 for _ in pattern.finditer(text)),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern of a module, by the name that it has there, and the methods it is used by."""

    module: str
    name: str
    pattern: re.Pattern[Any]
    uses: Sequence[str]


class Slow(Exception):
    """A search took longer than its limit."""


def patterns(module: ModuleType) -> Iterator[Found]:
    """The patterns that a module compiled for itself, alone or within tuples, lists and dicts."""
    used = uses(module)
    for name, value in vars(module).items():
        for pattern in _within(value):
            yield Found(module.__name__, name, pattern, used.get(name) or tuple(USES))


def uses(module: ModuleType) -> Mapping[str, Sequence[str]]:
    """By which methods a module uses the names that it has: `WORD.findall(text)`."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in USES:
            found.setdefault(node.value.id, set()).add(node.attr)
    return {name: sorted(methods) for name, methods in found.items()}


def uncompiled(source: str) -> Iterator[int]:
    """The lines on which a pattern is used, or made, out of the sight of `patterns`: within a function, or not kept."""
    tree = ast.parse(source)
    constants = [part for part in tree.body if isinstance(part, ast.Assign | ast.AnnAssign)]
    kept = {id(node) for constant in constants for node in ast.walk(constant)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=called)) if called != "escape":
                if called != "compile" or id(node) not in kept:
                    yield node.lineno
            case ast.ImportFrom(module="re"):
                yield node.lineno


def foreign_digits(source: str) -> Iterator[int]:
    r"""The lines on which a pattern of text is made that takes any script's digits for digits: by \d, without ASCII."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
            texts = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            plain = "ASCII" in "".join(ast.unparse(flags) for flags in node.args[1:])
            if not plain and any(isinstance(text, str) and r"\d" in text.replace(r"\\", "") for text in texts):
                yield node.lineno


def compiled(source: str) -> int:
    """How often a source compiles a pattern."""
    called = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return sum(ast.unparse(name) == "re.compile" for name in called)


def steep(found: Found) -> str | None:
    """An attack whose time grows faster than its length, in short; None when every attack passes quickly."""
    for start, pump, end in attacks(found.pattern):
        for use in found.uses:
            times = LONG // len(pump)
            if (took := _seconds(found.pattern, use, start + pump * times + end)) < SUSPECT:
                continue
            longer = took if took >= LIMIT else _seconds(found.pattern, use, start + pump * times * LONGER + end)
            if longer >= LIMIT or longer > took * STEEP:
                attack = f"{use} of {start!r} + {pump!r} * {times} + {end!r}"
                return f"{attack} takes {took:.3f} s, {LONGER} times as much {longer:.3f} s"
    return None


def attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    """What to begin with, what to repeat and what to end with: all made of what the pattern looks for."""
    text = pattern.pattern
    tree = parser.parse(text.decode("latin-1") if isinstance(text, bytes) else text, pattern.flags & ~re.UNICODE)
    repeated = list(_repeats(tree, ""))
    starts = dict.fromkeys(["", *(before for before, _ in repeated)])
    pumps = dict.fromkeys(f"{start}{pump}" for start, pumps in repeated for pump in pumps[:1])
    pumps |= dict.fromkeys(pump for _, pumps in repeated for pump in pumps)
    pumps |= dict.fromkeys(_alphabet(tree))
    for start in list(starts)[:STARTS]:
        for pump in list(pumps)[:PUMPS]:
            yield from ((start, pump, end) for end in ("\1", ""))


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Slow in what takes more CPU time: the matcher looks for signals on its way."""

    def over(_: int, __: FrameType | None) -> None:
        raise Slow

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _seconds(pattern: re.Pattern[Any], use: str, text: str) -> float:
    subject = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text
    began = time.process_time()
    try:
        with limited(LIMIT):
            USES[use](pattern, subject)
    except Slow:
        return LIMIT
    return time.process_time() - began


def _within(value: object, depth: int = 3) -> Iterator[re.Pattern[Any]]:
    match value:
        case re.Pattern():
            yield value
        case tuple() | list() | dict() if depth:
            for part in value.values() if isinstance(value, dict) else value:
                yield from _within(part, depth - 1)


def _repeats(tree: Any, before: str) -> Iterator[tuple[str, list[str]]]:
    """For each part that may repeat often: what a match begins with before it, and what may be repeated."""
    for operation, given in tree:
        match operation:
            case c.MAX_REPEAT | c.MIN_REPEAT | c.POSSESSIVE_REPEAT:
                if given[1] > OFTEN:
                    yield before, list(_witnesses(given[2]))
                yield from _repeats(given[2], before)
            case c.SUBPATTERN:
                yield from _repeats(given[3], before)
            case c.BRANCH:
                for branch in given[1]:
                    yield from _repeats(branch, before)
            case c.ATOMIC_GROUP:
                yield from _repeats(given, before)
            case c.ASSERT | c.ASSERT_NOT:
                yield from _repeats(given[1], before)
        before += next(iter(_witnesses([(operation, given)])), "")


def _witnesses(tree: Any) -> Iterable[str]:
    """Some texts that a part matches, the shortest first: each branch, and what each set holds of our alphabet."""
    found = [""]
    for operation, given in tree:
        parts = _parts(operation, given)
        found = [text + part for text in found[:4] for part in parts[:6]]
    return [text for text in dict.fromkeys(found) if text]


def _parts(operation: Any, given: Any) -> list[str]:
    match operation:
        case c.LITERAL:
            return [chr(given)]
        case c.NOT_LITERAL:
            return [letter for letter in WITNESSES if ord(letter) != given]
        case c.ANY:
            return list("a<\\")
        case c.IN:
            return [letter for letter in _candidates(given) if _holds(given, letter)] or [""]
        case c.BRANCH:
            return [text for branch in given[1] for text in list(_witnesses(branch))[:2] or [""]]
        case c.SUBPATTERN:
            return list(_witnesses(given[3])) or [""]
        case c.ATOMIC_GROUP:
            return list(_witnesses(given)) or [""]
        case c.MAX_REPEAT | c.MIN_REPEAT | c.POSSESSIVE_REPEAT:
            once = list(_witnesses(given[2])) or [""]
            return [text * given[0] for text in once] if given[0] else ["", *once]
    return [""]  # a place, an assertion or a reference takes no letter of its own


def _candidates(items: Any) -> Iterator[str]:
    for kind, value in items:
        if kind is c.LITERAL:
            yield chr(value)
        elif kind is c.RANGE:
            yield chr(value[0])
    yield from WITNESSES


def _holds(items: Any, letter: str) -> bool:
    negated = bool(items[0][0] is c.NEGATE)
    found = any(_fits(kind, value, letter) for kind, value in items[negated:])
    return found is not negated


def _fits(kind: Any, value: Any, letter: str) -> bool:
    match kind:
        case c.LITERAL:
            return bool(ord(letter) == value)
        case c.RANGE:
            return bool(value[0] <= ord(letter) <= value[1])
        case c.CATEGORY:
            return {
                c.CATEGORY_DIGIT: letter.isdigit(),
                c.CATEGORY_NOT_DIGIT: not letter.isdigit(),
                c.CATEGORY_SPACE: letter.isspace(),
                c.CATEGORY_NOT_SPACE: not letter.isspace(),
                c.CATEGORY_WORD: letter.isalnum() or letter == "_",
                c.CATEGORY_NOT_WORD: not (letter.isalnum() or letter == "_"),
            }[value]
    return False


def _alphabet(tree: Any) -> Iterator[str]:
    """The single letters that a pattern speaks of."""
    for operation, given in tree:
        match operation:
            case c.LITERAL:
                yield chr(given)
            case c.IN:
                yield from [letter for letter in _candidates(given) if _holds(given, letter)][:4]
            case c.MAX_REPEAT | c.MIN_REPEAT | c.POSSESSIVE_REPEAT:
                yield from _alphabet(given[2])
            case c.SUBPATTERN:
                yield from _alphabet(given[3])
            case c.BRANCH:
                for branch in given[1]:
                    yield from _alphabet(branch)


def modules(package: str) -> Iterator[str]:
    """A package's modules by name, or the module itself."""
    home = importlib.import_module(package)
    yield package
    if hasattr(home, "__path__"):
        for found in pkgutil.walk_packages(home.__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                yield found.name


if __name__ == "__main__":
    for name in (name for argument in sys.argv[1:] for name in modules(argument)):
        looked_at = importlib.import_module(name)
        here = list(patterns(looked_at))
        if len(here) < compiled(Path(looked_at.__file__ or "").read_text()):
            print(json.dumps({"at": name, "steep": "it hides a pattern from this check"}))
        for one in here:
            print(json.dumps({"at": f"{one.module}.{one.name}", "steep": steep(one)}), flush=True)
