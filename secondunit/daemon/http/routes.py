"""Routing table: every call, who may make it, and what the document says about it."""

from secondunit.daemon.http.contract import (
    access,
    operations_responses,
    requests,
    responses,
    trailtag_responses,
    video_requests,
)
from secondunit.daemon.http.contract.batches import BatchesQuery
from secondunit.daemon.http.contract.leases import answers, asks
from secondunit.daemon.http.contract.sight import boxes as box_responses
from secondunit.daemon.http.contract.sight import requests as sight_requests
from secondunit.daemon.http.contract.sight import responses as sight_responses
from secondunit.daemon.http.endpoints import (
    analyses,
    artifacts,
    batches,
    deliveries,
    documentation,
    events,
    job_stream,
    jobs,
    keys,
    leases,
    operations,
    schedules,
    sight,
    videos,
)
from secondunit.daemon.http.transport.route import ApiRoute

BODY = (400, 413, 415, 422)
STORE = (503, 507)
TEXT = "text/plain"
PAGE = "text/html"
SSE = "text/event-stream"
KEY = ("Idempotency-Key",)

SUBMITTING = (
    ApiRoute(
        "jobs.submit", "POST", "/api/jobs", jobs.submit, "submit", responses.Accepted, (201, 200), (*BODY, 409, *STORE),
        body=requests.SubmitAsk, headers=KEY, hot=True,
    ),
    ApiRoute(
        "jobs.submit_batch", "POST", "/api/jobs/batch", jobs.submit_batch, "submit", operations_responses.Batch,
        (201, 200), (*BODY, 409, *STORE), body=requests.BatchAsk, headers=KEY, hot=True,
    ),
)  # fmt: skip

JOBS = (
    ApiRoute(
        "jobs.find", "GET", "/api/jobs", jobs.find, "read", responses.Jobs, problems=(422, 503),
        query=requests.ListQuery, own=True,
    ),
    ApiRoute(
        "jobs.show", "GET", "/api/jobs/{id}", jobs.show, "read", trailtag_responses.ANY_JOB, problems=(404, 503),
        own=True,
    ),
    ApiRoute(
        "jobs.cancel", "DELETE", "/api/jobs/{id}", jobs.cancel, "submit", trailtag_responses.ANY_MOVED,
        problems=(404, 409, *STORE), audited="cancel",
    ),
    ApiRoute(
        "jobs.retry", "POST", "/api/jobs/{id}/retry", jobs.retry, "submit", trailtag_responses.ANY_MOVED,
        problems=(404, 409, 422, *STORE), audited="retry",
    ),
    ApiRoute(
        "jobs.retry_all", "POST", "/api/jobs/retry", jobs.retry_all, "submit", responses.Bulk, (200,), (*BODY, *STORE),
        requests.BulkAsk, audited="bulk retry",
    ),
    ApiRoute(
        "jobs.cancel_all", "POST", "/api/jobs/cancel", jobs.cancel_all, "submit", responses.Bulk, (200,),
        (*BODY, *STORE), requests.BulkAsk, audited="bulk cancel",
    ),
    ApiRoute(
        "deliveries.of_job", "GET", "/api/jobs/{id}/deliveries", deliveries.of_job, "read",
        operations_responses.Deliveries,
        problems=(404, 503), own=True,
    ),
    ApiRoute(
        "artifacts.of_job", "GET", "/api/jobs/{id}/artifacts", artifacts.of_job, "read", responses.Artifacts,
        problems=(404, 502, 503), own=True,
    ),
    ApiRoute(
        "artifacts.serve", "GET", "/api/jobs/{id}/artifacts/{name}", artifacts.serve, "read", None,
        (200, 206, 302, 304), (404, 412, 416, 502, 503), media="*/*", headers=("Range",), own=True,
    ),
    ApiRoute(
        "deliveries.retry", "POST", "/api/deliveries/{id}/retry", deliveries.retry, "admin",
        operations_responses.Delivery,
        problems=(404, *STORE), audited="delivery retry",
    ),
)  # fmt: skip

BATCHES = (
    ApiRoute(
        "batches.find", "GET", "/api/batches", batches.find, "read", operations_responses.Batches, problems=(422, 503),
        query=BatchesQuery, own=True,
    ),
    ApiRoute(
        "batches.show", "GET", "/api/batches/{id}", batches.show, "read", operations_responses.BatchDetail,
        problems=(404, 422, 503), query=requests.PageQuery, own=True,
    ),
    ApiRoute(
        "batches.cancel", "DELETE", "/api/batches/{id}", batches.cancel, "submit", responses.Bulk,
        problems=(404, *STORE), audited="batch cancel",
    ),
    ApiRoute(
        "batches.retry", "POST", "/api/batches/{id}/retry", batches.retry, "submit", responses.Bulk,
        problems=(404, *STORE), audited="batch retry",
    ),
)  # fmt: skip

FORM = "multipart/form-data"
ANALYSIS = (400, 409, 413, 415, 422, 502, *STORE)
ANALYSES = (
    ApiRoute(
        "analyze.upload", "POST", "/analyze", analyses.upload, "submit", responses.ANALYSIS, (200, 202), ANALYSIS,
        body=requests.UploadAsk, takes=(FORM,), headers=("Prefer",),
    ),
    ApiRoute(
        "analyze.from_url", "POST", "/analyze-from-url", analyses.from_url, "submit", responses.ANALYSIS, (200, 202),
        ANALYSIS, body=requests.UrlAsk, takes=(FORM, "application/x-www-form-urlencoded", "application/json"),
        headers=("Prefer",),
    ),
)  # fmt: skip

VIDEO = "/api/videos/{video_id}/locations"
VIDEOS = (
    ApiRoute(
        "videos.analyze", "POST", "/api/videos/analyze", videos.analyze, "submit", trailtag_responses.ANALYZED,
        (200, 202), (*BODY, *STORE), body=video_requests.VideoAsk,
    ),
    ApiRoute(
        "videos.locations", "GET", VIDEO, videos.locations, "read", trailtag_responses.MapVisualization,
        problems=(404, 422, 503), query=requests.StrategyQuery, own=True,
    ),
    ApiRoute(
        "videos.retry", "POST", f"{VIDEO}/retry", videos.retry, "submit", trailtag_responses.VideoMoved, (202,),
        (404, 409, 422, *STORE), query=requests.StrategyQuery, audited="retry",
    ),
)  # fmt: skip

EVENTS = (
    ApiRoute(
        "events.follow", "GET", "/api/events", events.follow, "read", None, (200,), (422, 503),
        query=requests.EventsQuery, headers=("Last-Event-ID",), media=SSE, stream=True,
        messages={"message": responses.EVENT_MESSAGE}, own=True,
    ),
    ApiRoute(
        "stream.follow", "GET", "/api/jobs/{id}/stream", job_stream.follow, "read", None, (200, 204), (404, 503),
        media=SSE, stream=True, query=requests.StreamQuery, headers=("Last-Event-ID",),
        messages=trailtag_responses.STREAM_MESSAGES, own=True,
    ),
)  # fmt: skip

SIGHT = (
    ApiRoute(
        "jobs.explain", "GET", "/api/jobs/{id}/explain", sight.explain, "read", sight_responses.Explained,
        problems=(404, 503), own=True,
    ),
    ApiRoute(
        "errors.groups", "GET", "/api/errors", sight.errors, "read", sight_responses.FailureGroups,
        problems=(422, 503), query=sight_requests.StatsQuery,
    ),
    ApiRoute(
        "stats.find", "GET", "/api/stats", sight.stats, "read", sight_responses.Stats, problems=(422, 503),
        query=sight_requests.StatsQuery,
    ),
    ApiRoute("backend.show", "GET", "/api/backend", sight.backend, "read", sight_responses.BackendState),
    ApiRoute("system.show", "GET", "/api/system", sight.system, "read", sight_responses.SystemState, problems=(503,)),
    ApiRoute("types.list", "GET", "/api/types", sight.types, "read", sight_responses.JobTypes, problems=(503,)),
    ApiRoute(
        "types.limit", "PATCH", "/api/types/{type}", sight.limit, "admin", sight_responses.JobType, (200,),
        (*BODY, *STORE), sight_requests.LimitAsk, audited="limit",
    ),
)  # fmt: skip

OPERATING = (
    ApiRoute(
        "ops.pause", "POST", "/api/types/{type}/pause", operations.pause, "admin", responses.TypeState,
        problems=(422, *STORE), audited="pause",
    ),
    ApiRoute(
        "ops.resume", "POST", "/api/types/{type}/resume", operations.resume, "admin", responses.TypeState,
        problems=(422, *STORE), audited="resume",
    ),
    ApiRoute(
        "recover.stuck", "GET", "/api/admin/stuck", operations.stuck, "admin", operations_responses.Stuck,
        problems=(422, 503), query=requests.StuckQuery,
    ),
    ApiRoute(
        "recover.recover", "POST", "/api/admin/recover", operations.recover, "admin", responses.Bulk, (200,),
        (*BODY, *STORE), requests.RecoverAsk, audited="recover",
    ),
    ApiRoute(
        "admin.check", "GET", "/api/admin/check", operations.check, "admin", operations_responses.Check,
        problems=(503,),
    ),
    ApiRoute(
        "admin.doctor", "GET", "/api/admin/doctor", operations.doctor, "admin", operations_responses.DoctorReport,
        problems=(503,),
    ),
    ApiRoute(
        "admin.backup", "POST", "/api/admin/backup", operations.backup, "admin", operations_responses.Backup, (200,),
        (*BODY, 403, *STORE), requests.BackupAsk, audited="backup",
    ),
    ApiRoute(
        "keys.add", "POST", "/api/keys", keys.add, "admin", access.MadeKey, (201,), (*BODY, *STORE),
        body=access.KeyAsk, audited="keys add",
    ),
    ApiRoute("keys.find", "GET", "/api/keys", keys.find, "admin", access.KnownKeys, problems=(503,)),
    ApiRoute(
        "keys.revoke", "DELETE", "/api/keys/{prefix}", keys.revoke, "admin", access.KnownKey, problems=(404, *STORE),
        audited="keys revoke",
    ),
    ApiRoute(
        "audit.find", "GET", "/api/audit", keys.audit, "admin", access.AuditTrail, problems=(422, 503),
        query=access.AuditQuery,
    ),
    ApiRoute("ops.health", "GET", "/health", operations.health, None, responses.Health, (200, 503), limited=False),
    ApiRoute("ops.metrics", "GET", "/metrics", operations.metrics, "read", None, media=TEXT, limited=False),
    ApiRoute("docs.document", "GET", "/api/openapi.json", documentation.document, None, responses.Document),
    ApiRoute("docs.page", "GET", "/docs", documentation.page, None, media=PAGE),
    ApiRoute("docs.asset", "GET", "/docs/{asset}", documentation.asset, None, problems=(404,), media="*/*"),
)  # fmt: skip

SCHEDULE = "/api/schedules/{name}"
SCHEDULES = (
    ApiRoute(
        "schedules.find", "GET", "/api/schedules", schedules.find, "read", operations_responses.KnownSchedules,
        problems=(503,),
    ),
    ApiRoute(
        "schedules.run", "POST", f"{SCHEDULE}/run", schedules.run, "admin", responses.Accepted, (201,),
        (404, 422, *STORE), audited="schedule run",
    ),
    ApiRoute(
        "schedules.pause", "POST", f"{SCHEDULE}/pause", schedules.pause, "admin", operations_responses.KnownSchedule,
        problems=(404, *STORE), audited="schedule pause",
    ),
    ApiRoute(
        "schedules.resume", "POST", f"{SCHEDULE}/resume", schedules.resume, "admin", operations_responses.KnownSchedule,
        problems=(404, *STORE), audited="schedule resume",
    ),
)  # fmt: skip

BOXES = (
    ApiRoute("boxes.find", "GET", "/api/boxes", sight.boxes, "read", box_responses.QueueBoxes, problems=(503,)),
    *(
        ApiRoute(
            f"boxes.{verb}", "POST", f"/api/boxes/{{name}}/{verb}", call, "admin", box_responses.QueueBox,
            problems=(404, *STORE), audited=f"box {verb}",
        )
        for verb, call in (("drain", sight.drain), ("resume", sight.resume))
    ),
)  # fmt: skip

LEASE = "/api/leases/{token}"
HELD = (*BODY, 409, *STORE)
LEASES = (
    ApiRoute(
        "leases.take", "POST", "/api/leases", leases.take, "work", answers.Leases, (200,), (*BODY, *STORE),
        asks.LeaseAsk, limited=False, hot=True,
    ),
    ApiRoute(
        "leases.renew", "PUT", LEASE, leases.renew, "work", answers.Renewed, (200,), HELD, asks.NewsAsk,
        limited=False,
    ),
    ApiRoute(
        "leases.step", "PUT", f"{LEASE}/steps/{{name}}", leases.step, "work", answers.StepStored, (200,), HELD,
        asks.ResultAsk, limited=False,
    ),
    ApiRoute(
        "leases.artifact", "PUT", f"{LEASE}/artifacts/{{name}}", leases.artifact, "work", answers.ArtifactStored,
        (200,), HELD, limited=False,
    ),
    ApiRoute(
        "leases.complete", "POST", f"{LEASE}/complete", leases.complete, "work", answers.Settled, (200,), HELD,
        asks.ResultAsk, limited=False,
    ),
    ApiRoute(
        "leases.partial", "POST", f"{LEASE}/partial", leases.partial, "work", answers.Settled, (200,), HELD,
        asks.PartialAsk, limited=False,
    ),
    ApiRoute(
        "leases.fail", "POST", f"{LEASE}/fail", leases.fail, "work", answers.Settled, (200,), HELD,
        asks.FailAsk, limited=False,
    ),
    ApiRoute(
        "leases.release", "POST", f"{LEASE}/release", leases.release, "work", answers.Settled, (200,), HELD,
        asks.ReleaseAsk, limited=False,
    ),
)  # fmt: skip

ROUTES = (*SUBMITTING, *ANALYSES, *JOBS, *BATCHES, *VIDEOS, *EVENTS, *SIGHT, *SCHEDULES, *BOXES, *LEASES, *OPERATING)
