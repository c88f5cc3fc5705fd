"""What the endpoints need that ask for analyses and places of videos."""

from datetime import timedelta

from secondunit.daemon.files.uploads import Uploads
from secondunit.daemon.http.context import Analyses, Locations
from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.daemon.wiring.caches import CachedResults
from secondunit.daemon.wiring.components import World


def analyses_of(world: World, uploads: Uploads, disk: DiskGuard) -> Analyses | None:
    """None where no model is set up."""
    settings, results = world.settings, world.tools.results
    if world.tools.gemini is None or results is None:
        return None
    return Analyses(uploads, results, settings.gemini_model, settings.analyze_wait_seconds, disk.admit)


def locations_of(world: World) -> Locations | None:
    """None where no results are kept."""
    results = world.tools.results
    if results is None:
        return None
    settings = world.settings
    kept = timedelta(hours=settings.cache_ttl_hours or settings.retention_hours)
    asked = CachedResults(world.store.cache, world.clock, kept)
    return Locations(results, settings.gemini_model, asked, keeps_results=settings.cache_ttl_hours > 0)
