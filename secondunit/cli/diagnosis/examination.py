"""Examination of a box: what only root sees comes first, the rest is seen with the rights of the daemon's account."""

import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from aiohttp import ClientSession

from secondunit.cli.diagnosis import exposure, folders, process, programs, situation, store, unit
from secondunit.cli.diagnosis.situation import Situation
from secondunit.cli.diagnosis.threads import apart
from secondunit.cli.host.account import act_as_owner
from secondunit.cli.host.units import Layout
from secondunit.daemon.diagnosis.checks import CheckResult, Examination, examined, without_secrets, worst_first
from secondunit.daemon.diagnosis.providers import provider_looks
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.wiring.backend import operators_session
from secondunit.daemon.wiring.resources import USER_AGENT


async def diagnosed(environ: Mapping[str, str], layout: Layout) -> Sequence[CheckResult]:
    """All that was found, the worst first, without a secret."""
    here = await situation.found(environ, layout, await apart(unit.variables))
    program = Path(sysconfig.get_path("scripts"), "secondunit")
    of_root = await examined(
        [
            _blocking("settings", partial(process.settings, here)),
            _blocking("daemon", partial(process.daemon, here)),
            _blocking("second daemon", partial(process.second_daemon, here)),
            _blocking("unit", partial(unit.unit, here, program)),
            _blocking("privacy", partial(folders.privacy, here)),
        ],
        here.around.access,
    )
    await apart(act_as_owner, here.settings.data_dir)
    async with operators_session(USER_AGENT) as session:
        of_account = await examined(_looks(here, session), here.around.access)
    found = [*of_root, *of_account, *_told(here)]
    return worst_first(without_secrets(check, here.secrets) for check in found)


def _looks(here: Situation, session: ClientSession) -> Iterator[Examination]:
    yield Examination("versions", partial(programs.versions, here))
    yield Examination("ffmpeg", partial(programs.ffmpeg, here))
    yield Examination("git", partial(programs.git, here))
    yield Examination("yt-dlp", partial(programs.ytdlp, here))
    yield _blocking("media root", partial(folders.roots, here))
    yield _blocking("disk", partial(folders.disks, here))
    yield _blocking("database", partial(store.store, here))
    yield _blocking("clock", partial(process.clock, here))
    yield Examination("published", partial(exposure.published, here, session))
    if here.report is None:
        yield Examination("sandbox", partial(programs.sandbox, here), within=60.0)
        yield from provider_looks(here.settings, session, SystemClock())


def _told(here: Situation) -> Iterator[CheckResult]:
    """What the daemon found itself."""
    for check in here.report["checks"] if here.report else ():
        yield CheckResult(check["name"], check["state"], check["found"], check["remedy"])


def _blocking(name: str, work: Callable[[], Iterable[CheckResult]]) -> Examination:
    return Examination(name, lambda: apart(lambda: list(work())))
