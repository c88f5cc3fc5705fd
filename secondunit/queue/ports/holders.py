"""Lease holder of another process: a remote worker, named in the lease where a boot of the daemon stands otherwise.

A boot's leases end with it; a remote worker's outlive the daemon, until it lets them run out. With the worker stands
the daemon's boot that heard of it last: where several share a queue, that one knows whether it could have renewed.
"""

from urllib.parse import quote, unquote

from secondunit.queue.value import Value

REMOTE, NOBODY, HEARD_BY = "remote", "-", "@"


class RemoteHolder(Value, frozen=True):
    """A worker that calls itself `worker`, under the access key with the id `key` ("" where no key is needed)."""

    key: str
    worker: str

    def heard(self, boot: str) -> str:
        """What stands in its leases that this boot of the daemon gave or renewed."""
        return f"{REMOTE} {self.key or NOBODY}{HEARD_BY}{quote(boot)} {self.worker}"


def holder_of(boot: str) -> RemoteHolder | None:
    """The remote worker whose lease says this; None for a boot of a daemon."""
    kind, _, rest = boot.partition(" ")
    told, _, worker = rest.partition(" ")
    key = told.partition(HEARD_BY)[0]
    return RemoteHolder("" if key == NOBODY else key, worker) if kind == REMOTE and worker else None


def heard_by(boot: str) -> str:
    """The boot of the daemon that gave or renewed a remote worker's lease; nothing where it does not say."""
    return unquote(boot.partition(" ")[2].partition(" ")[0].partition(HEARD_BY)[2])
