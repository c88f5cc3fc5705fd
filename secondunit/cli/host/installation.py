"""Installation as a systemd service: the steps to put it in, to take it out, and how it stands now."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import secondunit
from secondunit.cli.host.account import SERVICE_ACCOUNT
from secondunit.cli.host.steps import Remove, Run, Step, Tell, Write, before
from secondunit.cli.host.units import BACKUP, SERVICE, TIMER, UNITS, Layout, opening, ours, shipped, unreachable
from secondunit.daemon.config.loader import Config, load

ACCOUNT = SERVICE_ACCOUNT
BOOTED = Path("/run/systemd/system")  # sd_booted(3)
NO_SYSTEMD = "systemd does not run this machine: start the daemon with `secondunit run`, under what does"
QUERY_WITHIN = 30.0
STATE = Layout().state
FACTS = ("ActiveState", "Result", "ExecMainStatus", "UnitFileState", "NeedDaemonReload", "NRestarts", "Environment")
# Not to be opened to jobs: nothing below these, and these not as a whole.
SYSTEM = tuple(map(Path, "/bin /boot /dev /etc /lib /lib32 /lib64 /proc /sbin /sys /usr".split()))
WHOLE = frozenset(map(Path, "/ /home /opt /root /run /tmp /var /var/lib /var/log /var/tmp".split()))


@dataclass(frozen=True, slots=True)
class Found:
    """What an installation starts from: where it goes, its program, the service's settings, whether it runs.

    `manual` is the manual page, if one is to be installed.
    """

    layout: Layout
    program: Path
    config: Config
    active: bool = False
    manual: str = ""

    def files(self) -> Mapping[Path, str]:
        """What is written anew by each version, or for the unit of a package by each change of the folders."""
        if self.layout.packaged:
            return opening(self.layout, self.folders())
        page = {self.layout.manual: self.manual} if self.manual else {}
        return {**ours(self.layout, self.program, self.folders()), **page}

    def folders(self) -> Sequence[Path]:
        """What jobs may write outside the state folder."""
        settings = self.config.settings
        folders = [*settings.media_roots, *(project.directory for project in settings.deploy.values())]
        folders += [settings.data_dir, settings.database.path.parent]
        state = Layout().state
        return [folder for folder in dict.fromkeys(folders) if not folder.is_relative_to(state)]


def found(layout: Layout, *, serves: bool, manual: str = "") -> Found:
    """This machine; BadConfig when the service could not start with its settings."""
    config = load({"STATE_DIRECTORY": str(Layout().state)}, default_file=layout.config, serves=serves)
    program = Path(sysconfig.get_path("scripts"), "secondunit")
    return Found(layout, program, config, _said("is-active", SERVICE) == "active", manual)


def obstacles(program: Path, booted: Path = BOOTED) -> Iterator[str]:
    """Why the service can't be installed here."""
    if not booted.is_dir():
        yield NO_SYSTEMD
    if not program.is_file():
        yield f"{program} is not there: install the package with pip, or `make setup` in a checkout"
        return
    interpreter = Path(sys.executable)
    yield from unreachable(
        list(dict.fromkeys([program, interpreter, interpreter.resolve(), Path(secondunit.__file__).resolve()]))
    )


def unsuitable(at: Found) -> Iterator[str]:
    """Why the service can't be given its folders: the unit opens each, with all that is below it, to jobs."""
    for given in at.config.relative:
        yield f"{given} is relative; allowed: a folder by its whole path, which begins with /"
    settings = at.config.settings
    named = [("DATA_DIR", settings.data_dir), *(("MEDIA_ROOTS", root) for root in settings.media_roots)]
    named += (
        [("QUEUE_URL", settings.database.path.parent)] if settings.queue_url and not settings.database.server else []
    )
    named += [(f"deploy.{id}.directory", project.directory) for id, project in settings.deploy.items()]
    for name, folder in named:
        if why := _closed(folder, at.program):
            yield f"{name}: {folder} {why}; allowed: a folder of its own, such as /srv/media or one below {STATE}"


def _closed(folder: Path, program: Path) -> str | None:
    for place in dict.fromkeys([Path(os.path.normpath(folder)), folder.resolve()]):
        if place in WHOLE or any(place.is_relative_to(tree) for tree in SYSTEM):
            return "is the system's, and jobs would be let write there"
        if program.is_relative_to(place):
            return f"holds this program ({program}), and jobs would be let replace it"
    return None


def installing(at: Found) -> Iterator[Step]:
    """The steps that put the service of this program in the place of none, or of an earlier one."""
    layout = at.layout
    written = at.files()
    if layout.packaged:
        yield Tell(f"keep     {layout.unit(SERVICE)}: it is the package's")
        yield from (Write(path, text) for path, text in written.items())
        yield Run(("systemctl", "daemon-reload"))
        yield from _advice(at)
        return
    for path, command in (
        (layout.sysusers, ("systemd-sysusers", str(layout.sysusers))),
        (layout.tmpfiles, ("systemd-tmpfiles", "--create", str(layout.tmpfiles))),
    ):
        yield Write(path, written[path])
        yield Run(command)
    if layout.config.exists():
        yield Tell(f"keep     {layout.config}: it is yours")
    else:
        yield Write(layout.config, shipped("config.toml"), 0o640, ACCOUNT)
    for folder in layout.drop_ins():
        yield Tell(f"keep     {folder}: it is yours")
    for name in UNITS:
        yield Write(layout.unit(name), written[layout.unit(name)])
    if at.manual:
        yield Write(layout.manual, at.manual)
    yield Run(("systemctl", "daemon-reload"))
    yield from _advice(at)


def removing(layout: Layout, *, purge: bool, data_dir: Path | None = None) -> Iterator[Step]:
    """The steps that take the service out; what is the operator's stays unless it is to be purged."""
    present = [name for name in (TIMER, SERVICE, BACKUP) if layout.unit(name).exists()]
    if present:
        yield Tell("stop     the daemon drains: running jobs get DRAIN_SECONDS, then go back into the queue")
        yield Run(("systemctl", "disable", "--now", *present))
    for path in (*map(layout.unit, UNITS), layout.sysusers, layout.tmpfiles, layout.manual):
        for file in (path, before(path)):
            if file.exists():
                yield Remove(file)
    if present:
        yield Run(("systemctl", "daemon-reload"))
    for path in (*layout.drop_ins(), layout.settings, layout.state):
        if path.exists():
            yield Remove(path) if purge else Tell(f"keep     {path}: `secondunit service uninstall --purge` removes it")
    if data_dir and not data_dir.is_relative_to(layout.state):
        yield Tell(f"keep     {data_dir}: it lies elsewhere")
    yield Tell(f"keep     the account {ACCOUNT}, which owns what jobs published elsewhere")


def standing(at: Found) -> tuple[Sequence[str], bool]:
    """How the service stands, a line each, and whether it is as it should be."""
    lines, well = [], True
    for path, content in at.files().items():
        there = path.exists() and path.read_text("utf-8", "replace")
        state = "missing: `secondunit service install`"
        if there is not False:
            state = "as this version has it" if there == content else "differs: `secondunit service install` updates it"
        lines.append(f"{path}: {state}")
        well = well and there == content
    for name, wanted in ((SERVICE, "active"), (TIMER, "active")):
        active, enabled = _said("is-active", name), _said("is-enabled", name)
        lines.append(f"{name}: {active or 'not known'}, {enabled or 'not known'}")
        well = well and active == wanted
    lines.append(f"{at.layout.config}: {'fine' if at.layout.config.exists() else 'missing'}")
    lines.extend(f"warning: {warning}" for warning in at.config.warnings)
    return lines, well


def _advice(at: Found) -> Iterator[Step]:
    for folder in at.folders():
        if not folder.is_dir():
            yield Tell(f"missing: {folder}; `install -d -o {ACCOUNT} -g {ACCOUNT} -m 0750 {folder}` makes it")
    if (old := at.layout.settings / "env").exists():
        yield Tell(f"NOT READ {old}: move what it says into {at.layout.config}, and secrets into files of credentials/")
    if at.active:
        yield Tell("next: `systemctl restart secondunit`; it drains first, and loses nothing")
    else:
        yield Tell(f"next: look at {at.layout.config}, then `systemctl enable --now secondunit {TIMER}`")


def _said(*question: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *question], capture_output=True, text=True, timeout=QUERY_WITHIN, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def facts(unit: str) -> Mapping[str, str]:
    """What systemd says of a unit, by the names of its properties; nothing where it does not run this machine."""
    told = _said("show", unit, f"--property={','.join(FACTS)}")
    return {name: value for name, equals, value in (line.partition("=") for line in told.splitlines()) if equals}
