"""`docs/coming-from.md` names all that people had: their settings, ports, calls and scripts."""

import re

import pytest

from secondunit.daemon.config.settings import Settings
from tests.openapi.ours import ROOT

PAGE = (ROOT / "docs" / "coming-from.md").read_text()
THEIRS = """
PROCESSOR_MODE BACKEND_API_URL POLL_INTERVAL_MS GEMINI_API_KEY INTERNAL_API_KEY PORT UVICORN_WORKERS .env
QUEUE_TYPE REDIS_URL API_KEY WORK_API_KEY DATA_DIR MAX_CONCURRENT_JOBS DATABASE_URL SECRET_KEY ALLOWED_HOSTS SENTRY_DSN
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY S3_BUCKET_NAME OPENAI_API_KEY SMTP_SERVER SMTP_PORT EMAIL_ADDRESS EMAIL_PASSWORD
STUCK_COUNT METADATA_EXTRACTING 3000 4002 5432 6379 8000 8001
deploy.sh update-and-deploy.sh health-check.sh nginx.conf docker-compose.yml supervisord stopwaitsecs analysis:recover
/v1/analysis/failed /v1/analysis/{id}/result /analyze-from-url /api/videos/analyze /api/jobs/{id}/stream
/api/videos/{id}/locations /jobs/:id /events Celery JWT slowapi Redis CrewAI strategy_hash usePuppeteer
""".split()
OURS = re.compile(r"`([A-Z][A-Z_]+[A-Z])(?:=[^`]*)?`")


@pytest.mark.parametrize("name", THEIRS)
def test_what_people_had_is_named(name: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?!\w)", PAGE), "say what serves in its place, and why"


def test_every_row_says_what_serves_instead() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) > 40 and all(len(row) == 3 and row[1].strip() for row in rows)


def test_settings_in_the_middle_column_are_ours() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in OURS.findall(row[1])}
    ours = {name.upper() for name in Settings.model_fields} | {"TIMEOUT_TYPE", "CONCURRENCY_HLS", "CONCURRENCY_ANALYZE"}
    assert len(named) > 10 and named <= ours
