"""HTTP status classification: what an answer means for a job, whoever gave it; pure.

What one service means otherwise stands with it (Gemini's 409 and 499, S3's 501 and 507), and refers to this.
"""

REFUSES_US = (401, 403)  # the key, or who we are
MAY_NAME_A_WAIT = (429, 503)  # by Retry-After: RFC 6585, RFC 9110
WORDS = {401: "forbidden", 403: "forbidden", 404: "not_found", 410: "not_found", 429: "rate_limited", 451: "forbidden"}


def in_trouble(status: int) -> bool:
    """Whether the server is overloaded or broken, whatever it is asked."""
    return status == 429 or status >= 500


def passing(status: int) -> bool:
    """Whether the same request may succeed later: also where we were too slow for it (408), or too early (425)."""
    return in_trouble(status) or status in (408, 425)


def word(status: int) -> str:
    """The type of the error of a job whose request was answered so."""
    return WORDS.get(status, "server_error" if passing(status) else "http_error")
