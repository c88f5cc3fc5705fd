"""Calls as they go out: their paths, queries and bodies, and what these are said to be."""

from pathlib import Path

import pytest

from secondunit.client import calls
from secondunit.client.calls import Call, RawFile, Upload

FILM = Path("/srv/a film.mp4")


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (calls.find({}), "/api/jobs"),
        (calls.find({"cursor": None}), "/api/jobs"),
        (
            calls.find({"status": ["queued", "failed"], "type": "hls", "limit": 5, "q": "a b&c", "cursor": None}),
            "/api/jobs?status=queued&status=failed&type=hls&limit=5&q=a+b%26c",
        ),
        (calls.events({"type": "hls"}, ""), "/api/events?type=hls"),
        (calls.get("job/../x"), "/api/jobs/job%2F..%2Fx"),
        (calls.explain("job_1"), "/api/jobs/job_1/explain"),
    ],
)
def test_a_query_has_what_was_given_and_an_id_leads_nowhere_else(call: Call, path: str) -> None:
    assert (call.method, call.path, call.content()) == ("GET", path, None)


@pytest.mark.parametrize(
    ("call", "content", "kind"),
    [
        (calls.submit({"type": "hls"}, "k"), b'{"type": "hls"}', "application/json"),
        (Call("POST", "/x", {}), b"{}", "application/json"),
        (Call("PUT", "/x", b"\0"), b"\0", "application/octet-stream"),
        (Call("PUT", "/x", upload=RawFile(FILM)), None, "application/octet-stream"),
        (calls.analyze(Upload(FILM)), None, "multipart/form-data; boundary=b"),
        (calls.cancel("job_1"), None, None),
    ],
)
def test_a_body_says_what_it_is(call: Call, content: bytes | None, kind: str | None) -> None:
    assert (call.content(), call.content_type("b")) == (content, kind)


def test_headers_say_which_request_it_is_and_where_a_reader_stopped() -> None:
    assert calls.submit({}, "k").headers == {"Idempotency-Key": "k"}
    assert calls.events({}, "g1-7").headers == {"Last-Event-ID": "g1-7"} and calls.events({}, "").headers == {}


def test_a_file_stands_in_its_frame_under_a_name_that_breaks_no_header() -> None:
    before, behind = Upload(Path('/srv/a "film"\r\n.mp4')).frame("b")
    assert before == (
        b'--b\r\nContent-Disposition: form-data; name="video"; filename="a %22film%22%0D%0A.mp4"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    assert behind == b"\r\n--b--\r\n"
