"""Error mapping of S3: what an answer means for a job."""

import re

from secondunit.handlers.tools.http_statuses import passing
from secondunit.queue.outcome import Deterministic, Transient

STATUS = re.compile(r"status code: ([0-9]{3})")
CODE, MESSAGE = re.compile(r"<Code>([\w.]{1,60})</Code>"), re.compile(r"<Message>([^<]{1,200})</Message>")
DETAILS = "Debug source:"
EXPIRED = ("ExpiredToken", "RequestTimeTooSkewed")
# No room, or no more allowed: MinIO's, Ceph's and others' own words for it (Amazon's buckets have no bounds).
FULL = ("QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "StorageFull")
DENIED = (
    "check the rights of the key in AWS_ACCESS_KEY_ID on this bucket, AWS_REGION and this machine's clock; S3 says so, "
    "too, of an object that is missing when the key may not list the bucket"
)
NO_CREDENTIALS = (
    "there are no credentials for S3; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and, where it is not Amazon's, "
    "AWS_ENDPOINT_URL"
)


def no_credentials() -> Deterministic:
    """The error for a daemon that was started without any."""
    return Deterministic(NO_CREDENTIALS, type="no_credentials")


def missing(what: str, error: BaseException | None = None) -> Deterministic:
    """The error for something that S3 does not have."""
    if error is not None and "NoSuchBucket" in str(error):
        return Deterministic(f"{what}: there is no such bucket", type="no_such_bucket")
    return Deterministic(f"{what} does not exist", type="source_missing")


def denied(what: str, error: BaseException) -> Deterministic | Transient:
    """The error for a refusal of our credentials, or of more than the bucket may hold."""
    if (full := _full(what, error)) is not None:
        return full
    return Deterministic(f"{what}: S3 refuses access ({_told(error)}); {DENIED}", type="permission_denied")


def trouble(what: str, error: BaseException) -> Deterministic | Transient:
    """The error for any other answer, or for none."""
    if (full := _full(what, error)) is not None:
        return full
    found = STATUS.search(str(error))
    status = found[1] if found else ""
    told = f"{what}: S3 answers {_told(error)}"
    code = CODE.search(str(error))
    if code and code[1] in EXPIRED:
        return Deterministic(f"{told}; {DENIED}", type="permission_denied")
    if status.startswith("3") or "incorrectly configured region" in str(error):
        elsewhere = "the bucket lies elsewhere; check AWS_REGION and AWS_ENDPOINT_URL"
        return Deterministic(f"{told}: {elsewhere}", type="s3_refused")
    if status == "501":
        hint = "if it knows no conditional writes, set AWS_CONDITIONAL_PUT=disabled"
        return Deterministic(f"{told}: {hint}", type="s3_refused")
    if status.startswith("4") and not passing(int(status)):
        return Deterministic(told, type="s3_refused")
    return Transient(told if status else f"{what}: S3 can't be reached: {_told(error)}", type="s3_unavailable")


def _full(what: str, error: BaseException) -> Transient | None:
    code, status = CODE.search(str(error)), STATUS.search(str(error))
    if (code and code[1] in FULL) or (status and status[1] == "507"):
        return Transient(f"{what}: the bucket is full: S3 answers {_told(error)}", type="disk_full")
    return None


def _told(error: BaseException) -> str:
    """The answer in a few words, without what S3 repeats of the request (it may hold parts of keys)."""
    text = str(error).partition(DETAILS)[0]
    words = [found[1] for pattern in (STATUS, CODE, MESSAGE) if (found := pattern.search(text))]
    if words:
        return ", ".join(words)
    return text.strip().rpartition(" - ")[2][:200] or type(error).__name__
