"""System: what the daemon runs on and how that stands; what it finds when it examines itself."""

from secondunit.daemon.dashboard.page import Shown, Visit


async def show(visit: Visit) -> Shown:
    """Versions, disks, database, backup, sandbox, lag and memory, and what is wrong."""
    api = visit.api
    values = {"report": await api.health(), "system": await api.answers.system(), "version": api.version}
    return Shown("box/system.html", values, "secondunit system", "/api/system")


async def checks(visit: Visit) -> Shown:
    """What the daemon alone can see of itself and of the services that it asks; they are asked now."""
    report = await visit.api.doctor()
    return Shown("box/checks.html", {"report": report}, "secondunit doctor", "/api/admin/doctor")
