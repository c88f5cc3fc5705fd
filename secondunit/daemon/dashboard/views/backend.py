"""Backend: what active mode polled, took on, refused and delivered."""

from secondunit.daemon.dashboard.page import Shown, Visit


async def show(visit: Visit) -> Shown:
    """How it stands, with the last polls; or that nothing is polled, and why."""
    return Shown("box/backend.html", {"status": visit.api.answers.backend()}, "secondunit backend", "/api/backend")
