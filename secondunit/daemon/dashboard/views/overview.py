"""Overview: what runs and waits, what happened in a window, what is wrong, and what was spent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import get_args

from secondunit.daemon.dashboard.page import Shown, Visit
from secondunit.daemon.http.contract.sight.requests import Window, WindowQuery
from secondunit.daemon.sight.stats import Statistics
from secondunit.queue.model import Status
from secondunit.queue.sight.series import Point

WINDOWS: Sequence[Window] = get_args(Window)
USUAL: Window = "1h"
CHARTS = {
    "ends": ("status.completed", "status.partial", "status.failed"),
    "stand": ("status.queued", "status.running"),
    "waits": ("charts.p50", "charts.p95"),
    "runs": ("charts.p50", "charts.p95"),
}
KEPT, HOUR = timedelta(seconds=5), timedelta(hours=1)


class Overview:
    """The view; statistics are looked up once in a few seconds for all who visit."""

    def __init__(self) -> None:
        self._kept: dict[Window, tuple[datetime, Statistics]] = {}

    async def show(self, visit: Visit) -> Shown:
        """The first page."""
        asked = visit.query.get("window")
        window: Window = next((one for one in WINDOWS if one == asked), USUAL)
        api, now = visit.api, visit.api.clock.now()
        report = await api.health()
        statistics = await self._statistics(visit, window, now)
        counts = await api.queue.counts()
        return Shown(
            "overview.html",
            {
                "windows": WINDOWS,
                "window": window,
                "report": report,
                "types": await api.answers.types(),
                "oldest": counts.oldest_ready,
                "standing": counts.by_status,
                "statuses": [status.value for status in Status],
                "hours": WindowQuery(window=window).span / HOUR,
                "whole": statistics.whole,
                "series": _series(statistics.points),
                "charts": {name: [visit.texts(key) for key in keys] for name, keys in CHARTS.items()},
                "budget": await visit.figures.budget(),
                "dollars": visit.figures.spending.dollars,
            },
            f"secondunit stats --window {window}",
            f"/api/stats?window={window}",
        )

    async def _statistics(self, visit: Visit, window: Window, now: datetime) -> Statistics:
        kept = self._kept.get(window)
        if kept is None or now - kept[0] >= KEPT:
            span = WindowQuery(window=window).span
            kept = self._kept[window] = now, await visit.api.answers.stats(span, ())
        return kept[1]


def _series(points: Sequence[Point]) -> dict[str, list[float | int | None]]:
    """The points as columns, as charts take them."""
    columns: dict[str, list[float | int | None]] = {"at": [round(point.at.timestamp()) for point in points]}
    for name in ("completed", "partial", "failed", "cancelled"):
        columns[name] = [point.counts.get(name, 0) for point in points]
    columns |= {"queued": [point.queued for point in points], "running": [point.running for point in points]}
    for name, place in (("p50", 0), ("p95", 1)):
        columns[f"wait_{name}"] = [point.waits[place] for point in points]
        columns[f"run_{name}"] = [point.runs[place] for point in points]
    return columns
