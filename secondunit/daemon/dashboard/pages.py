"""Routing table of the dashboard: each page and each action.

To add a page:

1. A view in `views/`, `async def show(visit: Visit) -> Shown`: it looks things up in `visit.api` (the same queue,
   answers and artefacts that the endpoints have), by `visit.query` and `visit.parts` alone, and names a template, its
   values, the command that does the same and the path of its JSON twin. What the reader's key may not see it does not
   look up: `visit.caller.seen(job)`, `visit.caller.tenant`, `visit.may("admin")`. Errors of the queue are raised, not
   caught: the front shows them as pages.
2. A line below: `Page(path, view, scope, own=..., nav=...)`. A new `nav` word makes an entry of the navigation, named
   by the text `nav.<word>`; a page below another has the other's word.
3. A template in `templates/` that begins with `{% extends "base.html" %}` and fills `title` and `main`. What changes
   while the page is open stands in blocks whose names begin with `live`, each inside an element with that very id:
   `<div id="live_rows">{% block live_rows %}...{% endblock %}</div>`. They are pushed by themselves. Nothing inside of
   them may depend on the clock (`<time data-ago>` counts in the browser), or they would be sent each second.
   Parts that several pages share are macros in `parts.html`.
4. Each word in `texts.toml`, English and Chinese, shown by `{{ t("types.pause") }}`. No bare text in a template, no
   `style=`, no `onclick=`, no inline script: the policy forbids them, a test finds them. Looks go to `static/app.css`.
5. What it changes is an action: `async def act(visit, request) -> Done | Shown`, a line below, and a plain form with
   `method="post"`; it says what was done (`Done(to, notice)`), and notes it for the audit trail with `note(...)`.
   Whether it came from our own page is looked at before. A button that the key may not use is not shown.
6. A test in `tests/http/dashboard`; `test_frame.py` holds every page in the table to all of the above by itself.
"""

from collections.abc import Callable

from secondunit.daemon.access.sessions import Sessions
from secondunit.daemon.dashboard.figures import Figures
from secondunit.daemon.dashboard.front import Dashboard
from secondunit.daemon.dashboard.one_job.outputs import Outputs
from secondunit.daemon.dashboard.page import Action, Page
from secondunit.daemon.dashboard.renderer import Renderer
from secondunit.daemon.dashboard.views import (
    backend,
    batches,
    boxes,
    errors,
    job,
    jobs,
    keys,
    login,
    schedules,
    submit,
    system,
    types,
)
from secondunit.daemon.dashboard.views.overview import Overview
from secondunit.daemon.http.context import Api


def dashboard_of(api: Api, sessions: Sessions, figures: Figures, load: Callable[[], Renderer] = Renderer) -> Dashboard:
    """The dashboard of one daemon; `load` is called off the loop, for the first who looks."""
    overview, door = Overview(), login.Door(sessions, api.clock)
    one = job.JobPage(Outputs(api.artifacts, api.clock))
    pages = (
        Page("/", overview.show, nav="overview"),
        Page("/jobs", jobs.show, own=True, nav="jobs"),
        Page("/jobs/confirm", jobs.confirm, scope="submit", nav="jobs"),
        Page("/jobs/{id}", one.show, own=True, nav="jobs"),
        Page("/submit", submit.show, scope="submit", nav="jobs"),
        Page("/types", types.show, nav="types"),
        Page("/boxes", boxes.show, nav="boxes"),
        Page("/batches", batches.show, own=True, nav="batches"),
        Page("/batches/{batch}", batches.one, own=True, nav="batches"),
        Page("/errors", errors.show, nav="errors"),
        Page("/schedules", schedules.show, nav="schedules"),
        Page("/backend", backend.show, nav="backend"),
        Page("/keys", keys.show, scope="admin", nav="keys"),
        Page("/audit", keys.trail, scope="admin", nav="audit"),
        Page("/system", system.show, nav="system"),
        Page("/system/checks", system.checks, scope="admin", nav="system"),
        Page("/login", login.show, scope=None),
    )
    actions = (
        Action("/jobs/act", jobs.act, scope="submit", audited="act"),
        Action("/jobs/{id}/deliveries/{delivery}", job.send_again, audited="delivery retry"),
        Action("/submit", submit.submit, scope="submit"),
        Action("/submit/upload", submit.upload, scope="submit"),
        Action("/types/{type}", types.change, audited="type"),
        Action("/boxes/act", boxes.change, audited="box"),
        Action("/batches/{batch}", batches.change, scope="submit", audited="batch"),
        Action("/schedules/act", schedules.change, audited="schedule"),
        Action("/keys/act", keys.change, audited="keys"),
        Action("/login", door.enter, scope=None),
        Action("/logout", door.leave, scope=None),
        Action("/language", login.speak, scope=None),
    )
    return Dashboard(api, sessions, figures, pages, actions, load)
