"""Dashboard factory: the pages beside the API, with the sessions of browsers and what they show of money."""

from random import SystemRandom

from secondunit.daemon.access.sessions import Sessions
from secondunit.daemon.dashboard.figures import Figures, no_budget
from secondunit.daemon.dashboard.front import Dashboard
from secondunit.daemon.dashboard.pages import dashboard_of
from secondunit.daemon.http.context import Api
from secondunit.daemon.wiring.components import World


def pages_of(world: World, api: Api) -> Dashboard:
    """The dashboard of this daemon."""
    sessions = Sessions(world.store.cache, world.keys, world.clock, SystemRandom())
    gemini = world.tools.gemini
    figures = Figures(world.watchers.spending, gemini.budget if gemini else no_budget)
    return dashboard_of(api, sessions, figures)
