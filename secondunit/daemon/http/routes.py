"""The table of routes."""

from secondunit.daemon.http.contract import requests as asks
from secondunit.daemon.http.contract import responses as answers
from secondunit.daemon.http.contract import trailtag_responses as trail_answers
from secondunit.daemon.http.endpoints import analyses as analyze
from secondunit.daemon.http.endpoints import artifacts, deliveries, events, jobs, videos
from secondunit.daemon.http.endpoints import documentation as docs
from secondunit.daemon.http.endpoints import job_stream as stream
from secondunit.daemon.http.endpoints import maintenance as admin
from secondunit.daemon.http.endpoints import operations as ops
from secondunit.daemon.http.endpoints import recovery as recover
from secondunit.daemon.http.transport.route import Route

BODY = (400, 413, 415, 422)
STORE = (503, 507)
TEXT = "text/plain"
PAGE = "text/html"
SSE = "text/event-stream"
KEY = ("Idempotency-Key",)

SUBMITTING = (
    Route(
        "POST", "/api/jobs", jobs.submit, "submit", answers.Accepted, (201, 200), (*BODY, 409, *STORE),
        body=asks.SubmitAsk, headers=KEY, hot=True,
    ),
    Route(
        "POST", "/api/jobs/batch", jobs.submit_batch, "submit", answers.Batch, (201, 200), (*BODY, 409, *STORE),
        body=asks.BatchAsk, headers=KEY, hot=True,
    ),
)  # fmt: skip

JOBS = (
    Route("GET", "/api/jobs", jobs.find, "read", answers.Jobs, problems=(422, 503), query=asks.ListQuery),
    Route("GET", "/api/jobs/{id}", jobs.show, "read", trail_answers.AnyJob, problems=(404, 503)),
    Route("DELETE", "/api/jobs/{id}", jobs.cancel, "submit", answers.Moved, problems=(404, 409, *STORE)),
    Route("POST", "/api/jobs/{id}/retry", jobs.retry, "submit", answers.Moved, problems=(404, 409, *STORE)),
    Route("POST", "/api/jobs/retry", jobs.retry_all, "submit", answers.Bulk, (200,), (*BODY, *STORE), asks.BulkAsk),
    Route("POST", "/api/jobs/cancel", jobs.cancel_all, "submit", answers.Bulk, (200,), (*BODY, *STORE), asks.BulkAsk),
    Route("GET", "/api/jobs/{id}/deliveries", deliveries.of_job, "read", answers.Deliveries, problems=(404, 503)),
    Route("GET", "/api/jobs/{id}/artifacts", artifacts.of_job, "read", answers.Artifacts, problems=(404, 502, 503)),
    Route(
        "GET",
        "/api/jobs/{id}/artifacts/{name}",
        artifacts.serve,
        "read",
        None,
        (200, 206, 302, 304),
        (404, 412, 416, 502, 503),
        media="*/*",
    ),
    Route("POST", "/api/deliveries/{id}/retry", deliveries.retry, "admin", answers.Delivery, problems=(404, *STORE)),
)

FORM = "multipart/form-data"
ANALYSIS = (400, 409, 413, 415, 422, 502, *STORE)
ANALYSES = (
    Route(
        "POST", "/analyze", analyze.upload, "submit", answers.Analysis, (200, 202), ANALYSIS,
        body=asks.UploadAsk, takes=(FORM,), headers=("Prefer",),
    ),
    Route(
        "POST", "/analyze-from-url", analyze.from_url, "submit", answers.Analysis, (200, 202), ANALYSIS,
        body=asks.UrlAsk, takes=(FORM, "application/x-www-form-urlencoded", "application/json"), headers=("Prefer",),
    ),
)  # fmt: skip

VIDEO = "/api/videos/{video_id}/locations"
VIDEOS = (
    Route(
        "POST", "/api/videos/analyze", videos.analyze, "submit", trail_answers.VideoAccepted, (200, 202),
        (*BODY, *STORE), body=asks.VideoAsk,
    ),
    Route(
        "GET", VIDEO, videos.locations, "read", trail_answers.MapVisualization, problems=(404, 422, 503),
        query=asks.StrategyQuery,
    ),
    Route(
        "POST", f"{VIDEO}/retry", videos.retry, "submit", trail_answers.VideoMoved, (202,), (404, 409, 422, *STORE),
        query=asks.StrategyQuery,
    ),
)  # fmt: skip

EVENTS = (
    Route(
        "GET", "/api/events", events.follow, "read", None, (200,), (422, 503),
        query=asks.EventsQuery, headers=("Last-Event-ID",), media=SSE, stream=True,
    ),
    Route(
        "GET", "/api/jobs/{id}/stream", stream.follow, "read", None, (200,), (404, 503), media=SSE, stream=True,
        query=asks.StreamQuery,
    ),
)  # fmt: skip

OPERATING = (
    Route("POST", "/api/types/{type}/pause", ops.pause, "admin", answers.TypeState, problems=(422, *STORE)),
    Route("POST", "/api/types/{type}/resume", ops.resume, "admin", answers.TypeState, problems=(422, *STORE)),
    Route("GET", "/api/admin/stuck", recover.stuck, "admin", answers.Stuck, problems=(422, 503), query=asks.StuckQuery),
    Route(
        "POST", "/api/admin/recover", recover.recover, "admin", answers.Bulk, (200,), (*BODY, *STORE), asks.RecoverAsk
    ),
    Route("GET", "/api/admin/check", admin.check, "admin", answers.Check, problems=(503,)),
    Route(
        "POST", "/api/admin/backup", admin.backup, "admin", answers.Backup, (200,), (*BODY, 403, *STORE), asks.BackupAsk
    ),
    Route("GET", "/health", ops.health, None, answers.Health, (200, 503), limited=False),
    Route("GET", "/metrics", ops.metrics, "read", None, media=TEXT, limited=False),
    Route("GET", "/api/openapi.json", docs.document, None, answers.Document),
    Route("GET", "/docs", docs.page, None, media=PAGE),
    Route("GET", "/docs/{asset}", docs.asset, None, problems=(404,), media="*/*"),
)

ROUTES = (*SUBMITTING, *ANALYSES, *JOBS, *VIDEOS, *EVENTS, *OPERATING)
