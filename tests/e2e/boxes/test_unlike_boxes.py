"""Boxes of one queue that were set up differently, by limits, TYPES and remote types: what explain and doctor say."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Daemon

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]
TABLE = '[remote_types.{}]\nconcurrency = {}\nschema = {{type = "object"}}\n'


def explained(daemon: Daemon, type: str) -> Any:
    answer = daemon.call("POST", "/api/jobs", {"type": type, "payload": {}})
    assert answer.status == 201, answer
    return answer.body["jobId"], daemon.call("GET", f"/api/jobs/{answer.body['jobId']}/explain").body


def test_what_boxes_declare_differently_is_told_by_explain_and_doctor(start: Any, tmp_path: Path) -> None:
    tables = {"a": [("ocr", 4), ("asr", 1)], "b": [("ocr", 9)]}
    boxes = dict[str, Daemon]()
    for box, declared in tables.items():
        file = tmp_path / f"{box}.toml"
        file.write_text("".join(TABLE.format(*one) for one in declared))
        file.chmod(0o600)
        types = {"TYPES": "webp"} if box == "b" else {}
        boxes[box] = start(
            box, SECONDUNIT_CONFIG=str(file), CONCURRENCY_SLEEP="2", LEASE_SECONDS={"a": "5", "b": "8"}[box], **types
        )
    a, b = (boxes[box].ready() for box in "ab")
    ocr, told = explained(b, "ocr")
    assert "boxes declare ocr differently (a | b): give each the same [remote_types.ocr]" in str(told), told
    asr, told = explained(a, "asr")
    assert "boxes declare asr differently (a | b)" in str(told), told
    told = b.call("GET", f"/api/jobs/{asr}/explain").body
    assert told["reason"] == "slot" and "remote workers lease asr jobs at a, not here" in str(told), told
    refused = b.call("POST", "/api/jobs", {"type": "asr", "payload": {}})
    assert refused.status == 422, refused
    lease = a.call("POST", "/api/leases", {"types": ["ocr"], "worker": "w"}).body["leases"]
    assert [one["jobId"] for one in lease] == [ocr], "it is leased all the same, at either"
    assert b.call("POST", f"/api/leases/{lease[0]['token']}/complete", {"result": 1}).body["status"] == "completed"
    b.until(b.submit(seconds=0), "completed")
    checks = a.call("GET", "/api/admin/doctor").body["checks"]
    found = [(one["name"], one["state"], one["found"]) for one in checks]
    assert ("boxes", "warn", "their leases last differently (5 s: a; 8 s: b)") in found, found
    for type in ("ocr", "asr"):
        assert ("remote types", "warn", f"boxes declare {type} differently: a | b") in found, found
    assert ("box clock", "ok", "it agrees with the database's") in found, found
