"""Service supervisor of a daemon (systemd, a container's engine, or none), and the words for what one does there."""

from collections.abc import Mapping
from pathlib import Path

from secondunit.daemon.config.loader import SERVICE_DATA
from secondunit.queue.value import Value

IN_CONTAINER = "SECONDUNIT_CONTAINER"  # the Dockerfile sets it; a container that people work in has none
BOOTED = Path("run/systemd/system")  # sd_booted(3)


class Surroundings(Value, frozen=True):
    """Commands, and what a remedy says: where the log is, what makes a copy, how to get at what is not yours."""

    start: str
    restart: str
    log: str
    copy: str
    copies: str
    access: str
    clock: str
    programs: str


SERVICE = Surroundings(
    start="`systemctl start secondunit`",
    restart="`systemctl restart secondunit`",
    log="`journalctl -u secondunit`",
    copy="`systemctl start secondunit-backup.service`",
    copies="`systemctl status secondunit-backup`",
    access="put `sudo` in front of the command",
    clock="`timedatectl set-ntp true`",
    programs="install a newer secondunit",
)
CONTAINER = Surroundings(
    start="`docker compose up --detach` outside of the container",
    restart="`docker compose restart` outside of the container",
    log="`docker compose logs` outside of the container",
    copy="`secondunit backup FILE|DIR`",
    copies="whatever is to order them: docs/how-to/container.md",
    access="give it to the image's user (`chown 10001`), and run the command as that",
    clock="on the machine that runs the container, whose clock it has",
    programs="build the image anew (`docker compose build --pull`)",
)
PROCESS = Surroundings(
    start="`secondunit run`",
    restart="end it with Ctrl-C or SIGTERM, then `secondunit run`",
    log="what it wrote to standard error",
    copy="`secondunit backup FILE|DIR`",
    copies="whatever is to order them, cron for example",
    access=SERVICE.access,
    clock="by NTP",
    programs="`make setup` in a newer checkout, or `pip install --upgrade` in its environment",
)


def surroundings(data_dir: Path, environ: Mapping[str, str], root: Path = Path("/")) -> Surroundings:
    """Where the daemon of this folder runs, as far as can be known without it."""
    if environ.get(IN_CONTAINER):
        return CONTAINER
    of_service = data_dir == root / SERVICE_DATA.relative_to("/")
    return SERVICE if of_service and (root / BOOTED).is_dir() else PROCESS
