"""Sandbox check: what confines the programs of jobs here, beside what SANDBOX wants."""

from secondunit.daemon.diagnosis.checks import CheckResult, bad, ok, warn
from secondunit.handlers.tools.programs.sandbox.measuring import ANY_ADDRESS, Measured
from secondunit.queue.sentences import say

NAME = "sandbox"
KERNEL = say("use a kernel with Landlock (5.13 or newer) that lets this account use it and seccomp (docs/sandbox.md)")
LENT = say("let it call pidfd_getfd, for a container by a seccomp profile of yours (docs/sandbox.md)")


def sandbox_check(wanted: str, found: Measured) -> CheckResult:
    """What was measured, judged."""
    if wanted == "off":
        said = say("SANDBOX is off: programs of jobs may do what the daemon may")
        return bad(NAME, said, say("set SANDBOX=auto and restart (docs/sandbox.md)"))
    if found.whole:
        layers = found.describe()
        version = layers["landlock"]
        said = say("programs of jobs are confined: Landlock {version}, seccomp", version=version)
        if layers["proxyOnly"]:
            said = say("{confined}, those that fetch to the proxy alone", confined=said)
        return ok(NAME, said)
    lacks = ", ".join(sorted(found.lacks))
    remedy = KERNEL if _layer_is_missing(found) else LENT
    if found.sandbox is None or wanted == "require":
        return bad(NAME, say("programs of jobs are not confined as they should be: {lacks}", lacks=lacks), remedy)
    return warn(NAME, say("programs of jobs are not fully confined: {lacks}", lacks=lacks), remedy)


def _layer_is_missing(found: Measured) -> bool:
    """Whether it is more than sockets that can't be lent."""
    return [word for word in found.lacks if ANY_ADDRESS not in word] != []
