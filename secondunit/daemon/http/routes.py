"""The table of routes."""

from secondunit.daemon.http.contract import requests, responses, trailtag_responses
from secondunit.daemon.http.endpoints import (
    analyses,
    artifacts,
    deliveries,
    documentation,
    events,
    job_stream,
    jobs,
    operations,
    videos,
)
from secondunit.daemon.http.transport.route import Route

BODY = (400, 413, 415, 422)
STORE = (503, 507)
TEXT = "text/plain"
PAGE = "text/html"
SSE = "text/event-stream"
KEY = ("Idempotency-Key",)

SUBMITTING = (
    Route(
        "POST", "/api/jobs", jobs.submit, "submit", responses.Accepted, (201, 200), (*BODY, 409, *STORE),
        body=requests.SubmitAsk, headers=KEY, hot=True,
    ),
    Route(
        "POST", "/api/jobs/batch", jobs.submit_batch, "submit", responses.Batch, (201, 200), (*BODY, 409, *STORE),
        body=requests.BatchAsk, headers=KEY, hot=True,
    ),
)  # fmt: skip

JOBS = (
    Route("GET", "/api/jobs", jobs.find, "read", responses.Jobs, problems=(422, 503), query=requests.ListQuery),
    Route("GET", "/api/jobs/{id}", jobs.show, "read", trailtag_responses.AnyJob, problems=(404, 503)),
    Route("DELETE", "/api/jobs/{id}", jobs.cancel, "submit", responses.Moved, problems=(404, 409, *STORE)),
    Route("POST", "/api/jobs/{id}/retry", jobs.retry, "submit", responses.Moved, problems=(404, 409, *STORE)),
    Route(
        "POST", "/api/jobs/retry", jobs.retry_all, "submit", responses.Bulk, (200,), (*BODY, *STORE), requests.BulkAsk
    ),
    Route(
        "POST", "/api/jobs/cancel", jobs.cancel_all, "submit", responses.Bulk, (200,), (*BODY, *STORE), requests.BulkAsk
    ),
    Route("GET", "/api/jobs/{id}/deliveries", deliveries.of_job, "read", responses.Deliveries, problems=(404, 503)),
    Route("GET", "/api/jobs/{id}/artifacts", artifacts.of_job, "read", responses.Artifacts, problems=(404, 502, 503)),
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
    Route("POST", "/api/deliveries/{id}/retry", deliveries.retry, "admin", responses.Delivery, problems=(404, *STORE)),
)

FORM = "multipart/form-data"
ANALYSIS = (400, 409, 413, 415, 422, 502, *STORE)
ANALYSES = (
    Route(
        "POST", "/analyze", analyses.upload, "submit", responses.Analysis, (200, 202), ANALYSIS,
        body=requests.UploadAsk, takes=(FORM,), headers=("Prefer",),
    ),
    Route(
        "POST", "/analyze-from-url", analyses.from_url, "submit", responses.Analysis, (200, 202), ANALYSIS,
        body=requests.UrlAsk, takes=(FORM, "application/x-www-form-urlencoded", "application/json"),
        headers=("Prefer",),
    ),
)  # fmt: skip

VIDEO = "/api/videos/{video_id}/locations"
VIDEOS = (
    Route(
        "POST", "/api/videos/analyze", videos.analyze, "submit", trailtag_responses.VideoAccepted, (200, 202),
        (*BODY, *STORE), body=requests.VideoAsk,
    ),
    Route(
        "GET", VIDEO, videos.locations, "read", trailtag_responses.MapVisualization, problems=(404, 422, 503),
        query=requests.StrategyQuery,
    ),
    Route(
        "POST", f"{VIDEO}/retry", videos.retry, "submit", trailtag_responses.VideoMoved, (202,),
        (404, 409, 422, *STORE), query=requests.StrategyQuery,
    ),
)  # fmt: skip

EVENTS = (
    Route(
        "GET", "/api/events", events.follow, "read", None, (200,), (422, 503),
        query=requests.EventsQuery, headers=("Last-Event-ID",), media=SSE, stream=True,
    ),
    Route(
        "GET", "/api/jobs/{id}/stream", job_stream.follow, "read", None, (200,), (404, 503), media=SSE, stream=True,
        query=requests.StreamQuery,
    ),
)  # fmt: skip

OPERATING = (
    Route("POST", "/api/types/{type}/pause", operations.pause, "admin", responses.TypeState, problems=(422, *STORE)),
    Route("POST", "/api/types/{type}/resume", operations.resume, "admin", responses.TypeState, problems=(422, *STORE)),
    Route(
        "GET",
        "/api/admin/stuck",
        operations.stuck,
        "admin",
        responses.Stuck,
        problems=(422, 503),
        query=requests.StuckQuery,
    ),
    Route(
        "POST",
        "/api/admin/recover",
        operations.recover,
        "admin",
        responses.Bulk,
        (200,),
        (*BODY, *STORE),
        requests.RecoverAsk,
    ),
    Route("GET", "/api/admin/check", operations.check, "admin", responses.Check, problems=(503,)),
    Route(
        "POST",
        "/api/admin/backup",
        operations.backup,
        "admin",
        responses.Backup,
        (200,),
        (*BODY, 403, *STORE),
        requests.BackupAsk,
    ),
    Route("GET", "/health", operations.health, None, responses.Health, (200, 503), limited=False),
    Route("GET", "/metrics", operations.metrics, "read", None, media=TEXT, limited=False),
    Route("GET", "/api/openapi.json", documentation.document, None, responses.Document),
    Route("GET", "/docs", documentation.page, None, media=PAGE),
    Route("GET", "/docs/{asset}", documentation.asset, None, problems=(404,), media="*/*"),
)

ROUTES = (*SUBMITTING, *ANALYSES, *JOBS, *VIDEOS, *EVENTS, *OPERATING)
