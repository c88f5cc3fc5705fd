"""Checks of doctor: each within its time, none in the way of another, the worst first, and no secret in any."""

import asyncio
from collections.abc import Sequence

from secondunit.daemon.diagnosis.checks import CheckResult, Examination, bad, examined, ok, warn, without_secrets
from secondunit.daemon.diagnosis.sandbox import sandbox_check
from secondunit.handlers.tools.programs.sandbox.measuring import ANY_ADDRESS, OFF, Measured
from secondunit.handlers.tools.programs.sandbox.orders import UNCONFINED
from secondunit.queue.sentences import Sentence, say


async def fine() -> Sequence[CheckResult]:
    return [ok("fine", "all is well"), bad("fine", "but for this", "mend it")]


async def broken() -> Sequence[CheckResult]:
    raise ZeroDivisionError("planted")


async def closed() -> Sequence[CheckResult]:
    raise PermissionError(13, "Permission denied", "/srv/closed")


async def hangs() -> Sequence[CheckResult]:
    await asyncio.Event().wait()
    return []


async def test_a_check_that_breaks_or_hangs_is_told_in_its_place_and_hides_no_other() -> None:
    looks = [
        Examination("hangs", hangs, within=0.01),
        Examination("broken", broken),
        Examination("closed", closed),
        Examination("fine", fine),
    ]
    found = await examined(looks)
    assert [(check.name, check.state) for check in found] == [
        ("fine", "bad"),
        ("hangs", "warn"),
        ("broken", "warn"),
        ("closed", "warn"),
        ("fine", "ok"),
    ]
    assert [word in check.found for check, word in zip(found[1:4], ("0.01 s", "planted", "/srv/closed"), strict=True)]
    assert all(check.remedy for check in found[:4]) and "sudo" in found[3].remedy


def test_no_secret_is_told() -> None:
    check = warn("gemini", "https://me:pw@host/x?key=k1 refused hunter2", "set hunter2 right")
    assert without_secrets(check, {"hunter2", ""}) == warn(
        "gemini", "https://***@host/x?key=*** refused ***", "set *** right"
    )


def test_our_own_words_are_no_secret_and_still_can_be_said_in_another_language() -> None:
    told = say("{word} since {at}: {text}", word="w", at="now", text=say("{url} answers", url="http://h/since?k=1"))
    found = without_secrets(warn("health", told, ""), {"since", "now"}).found
    assert found == "w since ***: http://h/***?k=*** answers"
    assert isinstance(found, Sentence) and isinstance(found.arguments["text"], Sentence)


def test_a_sandbox_that_is_missing_is_found() -> None:
    none = sandbox_check("auto", Measured(None, ["no Landlock", "no seccomp"]))
    assert none.state == "bad" and "no Landlock" in none.found and "docs/sandbox.md" in none.remedy
    assert sandbox_check("off", OFF).state == "bad"
    assert sandbox_check("auto", Measured(UNCONFINED, ["no seccomp"])).state == "warn"
    assert sandbox_check("require", Measured(UNCONFINED, ["no seccomp"])).state == "bad"
    assert sandbox_check("auto", Measured(UNCONFINED, [])).state == "ok"
    lent = sandbox_check("auto", Measured(UNCONFINED, [f"open: {ANY_ADDRESS}, to fetching programs"]))
    assert lent.state == "warn" and "pidfd_getfd" in lent.remedy and "Landlock" not in lent.remedy
