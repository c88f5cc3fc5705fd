"""Health checks of `doctor`: findings as values, and a run of many checks at once, each within its time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from secondunit.daemon.config.surroundings import SERVICE
from secondunit.queue.outcome import told
from secondunit.queue.payloads.redaction import redacted, without
from secondunit.queue.sentences import Sentence, say
from secondunit.queue.value import Value

State = Literal["ok", "warn", "bad"]
WORST_FIRST: Sequence[State] = ("bad", "warn", "ok")
WITHIN = 30.0  # of a machine that is busy
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was looked at, how it is, what was found, and what to do where it is not well."""

    name: str
    state: State
    found: str
    remedy: str = ""


class Examination(Value, frozen=True):
    """Something to look at: `work` gives its findings, or is given up after `within` seconds."""

    name: str
    work: Callable[[], Awaitable[Iterable[CheckResult]]]
    within: float = WITHIN


def ok(name: str, found: str) -> CheckResult:
    """All is well."""
    return CheckResult(name, "ok", found)


def warn(name: str, found: str, remedy: str) -> CheckResult:
    """It works, or can't be known; somebody should see to it."""
    return CheckResult(name, "warn", found, remedy)


def bad(name: str, found: str, remedy: str) -> CheckResult:
    """Something that is wanted does not work, or is open to others."""
    return CheckResult(name, "bad", found, remedy)


async def examined(looks: Iterable[Examination], access: str = SERVICE.access) -> Sequence[CheckResult]:
    """All findings, the worst first; a look that fails or hangs is one itself; what is not allowed needs `access`."""
    found = await asyncio.gather(*(_findings(look, access) for look in looks))
    return worst_first(check for checks in found for check in checks)


def worst_first(checks: Iterable[CheckResult]) -> Sequence[CheckResult]:
    """The same, ordered by state and otherwise as they came."""
    return sorted(checks, key=lambda check: WORST_FIRST.index(check.state))


def without_secrets(check: CheckResult, secrets: Collection[str]) -> CheckResult:
    """The same with no secret's value, and no userinfo or query of a URL, in its words; our own words stay."""
    return CheckResult(check.name, check.state, _cleaned(check.found, secrets), _cleaned(check.remedy, secrets))


def _cleaned(text: str, secrets: Collection[str]) -> str:
    if isinstance(text, Sentence):
        return say(text.template, **{name: _argument(value, secrets) for name, value in text.arguments.items()})
    return redacted(without(text, secrets))[:LONGEST]


def _argument(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, list | tuple):
        return [_argument(one, secrets) for one in value]
    return _cleaned(value, secrets) if isinstance(value, str) else value


async def _findings(look: Examination, access: str) -> Sequence[CheckResult]:
    try:
        async with asyncio.timeout(look.within):
            return list(await look.work())
    except TimeoutError:
        remedy = say("see whether the disk, mount or server behind it hangs, and ask again")
        return [warn(look.name, say("it gave no answer within {n} s", n=f"{look.within:g}"), remedy)]
    except PermissionError as error:
        return [warn(look.name, say("you may not look at it: {where}", where=error.filename or look.name), access)]
    except Exception as error:  # noqa: BLE001  one check that breaks is told in its place, and hides no other
        found = say("it could not be looked at ({why})", why=told(error))
        return [warn(look.name, found, say("report this with what doctor printed"))]
