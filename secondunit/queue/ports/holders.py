"""Lease holder of another process: a remote worker, named in the lease where a boot of the daemon stands otherwise.

A boot's leases end with it; a remote worker's outlive the daemon, until it lets them run out.
"""

from secondunit.queue.value import Value

REMOTE, NOBODY = "remote", "-"


class RemoteHolder(Value, frozen=True):
    """A worker that calls itself `worker`, under the access key with the id `key` ("" where no key is needed)."""

    key: str
    worker: str

    @property
    def boot(self) -> str:
        """What stands in its leases."""
        return f"{REMOTE} {self.key or NOBODY} {self.worker}"


def holder_of(boot: str) -> RemoteHolder | None:
    """The remote worker whose lease says this; None for a boot of a daemon."""
    kind, _, rest = boot.partition(" ")
    key, _, worker = rest.partition(" ")
    return RemoteHolder("" if key == NOBODY else key, worker) if kind == REMOTE and worker else None
