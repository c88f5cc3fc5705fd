"""Health checks of `doctor`: findings as values, and a run of many checks at once, each within its time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from secondunit.daemon.config.surroundings import SERVICE
from secondunit.queue.outcome import told
from secondunit.queue.payloads.redaction import redacted, without

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


@dataclass(frozen=True, slots=True)
class Examination:
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


def without_secrets(check: CheckResult, secrets: Iterable[str]) -> CheckResult:
    """The same with no secret's value, and no userinfo or query of a URL, in its words."""
    return CheckResult(check.name, check.state, _cleaned(check.found, secrets), _cleaned(check.remedy, secrets))


def _cleaned(text: str, secrets: Iterable[str]) -> str:
    return redacted(without(text, secrets))[:LONGEST]


async def _findings(look: Examination, access: str) -> Sequence[CheckResult]:
    try:
        async with asyncio.timeout(look.within):
            return list(await look.work())
    except TimeoutError:
        remedy = "see whether the disk, mount or server behind it hangs, and ask again"
        return [warn(look.name, f"it gave no answer within {look.within:g} s", remedy)]
    except PermissionError as error:
        where = f": {error.filename}" if error.filename else ""
        return [warn(look.name, f"you may not look at it{where}", access)]
    except Exception as error:  # noqa: BLE001  one check that breaks is told in its place, and hides no other
        return [warn(look.name, f"it could not be looked at ({told(error)})", "report this with what doctor printed")]
