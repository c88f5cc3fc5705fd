"""Error mapping of the browser: what a fault means for its job, in words that a person understands."""

import re
from datetime import datetime

from secondunit.handlers.tools.http_statuses import passing, word
from secondunit.handlers.tools.network.session import wait_asked
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.value import Value

STATUSES = {
    401: "wants a login",
    403: "does not let us have the page",
    404: "has no page there",
    410: "has the page no more",
    451: "may not give us the page, for legal reasons",
}
NET_ERROR = re.compile(r"net::ERR_([A-Z0-9_]{1,80})")
# Parts of the browser's words for its errors.
FINAL = (
    (("CERT_", "SSL_"), "bad_certificate", "no safe connection"),
    (("TOO_MANY_REDIRECTS",), "too_many_redirects", "it redirects without an end"),
    (("UNSAFE_REDIRECT", "INVALID_REDIRECT", "DISALLOWED_URL_SCHEME", "UNKNOWN_URL_SCHEME", "INVALID_URL"),
     "bad_redirect", "it redirects to what is not fetched"),
)  # fmt: skip
MOST_HEARD = 2000  # characters of what the browser said; a page may have a part in that
SANDBOX = re.compile(r"no usable sandbox|namespace sandbox|setuid sandbox", re.IGNORECASE)
NO_SANDBOX = (
    "Chromium finds no sandbox here: it needs user namespaces, which the system or the service's unit forbids"
    " (see docs/download.md)"
)


class BrowserFault(Value, frozen=True):
    """As the child program tells it: its kind, and the browser's words or an HTTP status."""

    type: str
    message: str = ""
    retry_after: str | None = None


def judge(fault: BrowserFault, url: str, now: datetime, *, spent: bool = False) -> Transient | Deterministic:
    """The exception to raise; `spent` says that the page moved more bytes than it may."""
    if fault.type == "too_large" or spent:
        return Deterministic(f"{url}: more bytes came than are allowed", type="too_large")
    match fault.type:
        case "nothing":
            message = f"{url}: the page started no download and plays nothing that could be fetched"
            return Deterministic(message, type="nothing_to_download")
        case "status":
            return _by_status(int(fault.message), url, fault.retry_after, now)
        case "cookies":
            message = (
                f"{url}: the browser does not take these cookies; __Secure- and __Host- in a name need an https URL"
            )
            return Deterministic(message, type="bad_cookies")
        case "stalled":
            return Transient(f"{url}: the browser's download stood still: {fault.message}", type="stalled")
    return _by_words(fault.message, url)


def _by_status(status: int, url: str, asked: str | None, now: datetime) -> Transient | Deterministic:
    if passing(status):
        wait = wait_asked(asked or "", now)
        return Transient(f"{url}: the server answers HTTP {status}", type=word(status), delay=wait)
    meaning = STATUSES.get(status, "refuses the request")
    return Deterministic(f"{url}: the server {meaning} (HTTP {status})", type=word(status))


def _by_words(message: str, url: str) -> Transient | Deterministic:
    message = message[:MOST_HEARD]
    if SANDBOX.search(message):
        return Deterministic(NO_SANDBOX, type="capability_missing")
    words = message.strip().partition("\n")[0][:300]
    found = NET_ERROR.search(message)
    if found is None:
        return Transient(f"{url}: the browser failed: {words}", type="browser_failed")
    for parts, type, meaning in FINAL:
        if any(part in found[1] for part in parts):
            return Deterministic(f"{url}: {meaning} ({found[1]})", type=type)
    return Transient(f"{url}: the browser can't open the page ({found[1]})", type="connection_failed")
