"""What people look at, over as many jobs as there are: each page and each kind of query, one call after the other."""

import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from statistics import median, quantiles

from daemons import KEY, daemon

TIMES = 40
AN_ENDED_ONE = f"job_{777:026}"
QUERIES = (
    "", "status:failed", "type:noop status:completed", "777777", "no-such-word", '"fit" status:failed',
    "error:disk_full", "-status:completed", "since:3h", "until:10h", "path:/srv/media/77", "key:none", "by:none",
    "n since:2h -status:failed",
)  # fmt: skip
PAGES = (
    "/", "/jobs", "/types", "/api/types", "/api/system", "/health", "/metrics",
    "/api/stats?window=1h", "/api/stats?window=24h", "/api/stats?window=7d",
    "/api/errors?window=1h", "/api/errors?window=7d",
    "/submit", "/batches", "/errors", "/schedules", "/backend", "/keys", "/audit", "/system",
    f"/jobs/{AN_ENDED_ONE}", f"/api/jobs/{AN_ENDED_ONE}", f"/api/jobs/{AN_ENDED_ONE}/explain",
)  # fmt: skip


def pages_and_queries(folder: Path) -> dict[str, float]:
    """Milliseconds from the request to the whole answer; the slowest path is named on stderr."""
    listed = [f"{path}?q={urllib.parse.quote(q)}" for q in QUERIES for path in ("/api/jobs", "/jobs")]
    with daemon(folder) as server:
        found = {path: [_asked(server.port, path) for _ in range(TIMES)] for path in (*PAGES, *listed)}
    p95 = {path: quantiles(times, n=20)[-1] for path, times in found.items()}
    slowest = max(p95, key=p95.__getitem__)
    print(f"slowest of {len(p95)}: {slowest}, p95 {p95[slowest]:.0f} ms", file=sys.stderr)
    return {"p50 ms": median(time for times in found.values() for time in times), "p95 ms of the slowest": p95[slowest]}


def _asked(port: int, path: str) -> float:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"X-API-Key": KEY})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    return (time.perf_counter() - began) * 1000
