"""Media types of HTTP heads (RFC 9110, 8.3.1), by plain scanning."""

UNKNOWN = "application/octet-stream"
LONGEST = 255


def media_type(header: str) -> str:
    """`type/subtype` in small letters, without parameters; `application/octet-stream` for what is none."""
    kind = header[: LONGEST + 1].partition(";")[0].strip().lower()
    main, slash, sub = kind.partition("/")
    whole = bool(main and slash and sub) and len(kind) <= LONGEST and kind.isascii() and kind.isprintable()
    return kind if whole and " " not in kind else UNKNOWN
