"""Calls of a remote worker, once for both clients: what they give is the answer, or an awaitable of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from secondunit.client import leases as calls
from secondunit.client.calls import Call

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
L = TypeVar("L")


class Ask(Protocol[A_co]):
    """Sends a call; `patience` seconds in all where it is given, else the client's."""

    def __call__(self, call: Call, patience: float | None = None) -> A_co: ...


class LeaseCalls(Generic[A, L]):
    """The single calls; those about a lease that is lost raise LeaseLost. `read` makes leases of what `ask` gives."""

    def __init__(self, ask: Ask[A], read: Callable[[A], L]) -> None:
        self._ask = ask
        self._read = read

    def take(
        self, types: Sequence[str], worker: str, *, max: int = 1, wait: float = 0, patience: float | None = None
    ) -> L:
        """At most so many jobs of these types, once there is one; none after `wait` (at most 60) seconds."""
        return self._read(self._ask(calls.take(types, worker, max, wait), patience))

    def renew(self, token: str, **news: Any) -> A:
        """`{expiresAt, cancelRequested}`; tells `progress` (0 to 100), `phase`, `message` and `stats`."""
        return self._ask(calls.renew(token, news))

    def step(self, token: str, name: str, result: Any) -> A:
        """Stored at once, and given to a later lease of the job."""
        return self._ask(calls.step(token, name, result))

    def artifact(self, token: str, name: str, content: Path | bytes) -> A:
        """A file, or bytes, as an artefact of the job: whole, or not there."""
        return self._ask(calls.artifact(token, name, content))

    def complete(self, token: str, result: Any) -> A:
        """`{jobId, status}`; the same call again is answered the same, as with all that end a run."""
        return self._ask(calls.complete(token, result))

    def partial(self, token: str, result: Any, missing: Sequence[Any]) -> A:
        """A part is done, `missing` is not."""
        return self._ask(calls.partial(token, result, missing))

    def fail(self, token: str, kind: calls.Kind, type: str, message: str, *, retry_after: float | None = None) -> A:
        """It failed; `transient` and `timeout` are tried again, no sooner than `retry_after` seconds."""
        return self._ask(calls.fail(token, kind, type, message, retry_after))

    def release(self, token: str, reason: str) -> A:
        """It goes back, at no cost."""
        return self._ask(calls.release(token, reason))

    def tell(self, call: Call) -> A:
        """How a run ended, by one of `leases.ending`, `failing` and `unstorable`."""
        return self._ask(call)
