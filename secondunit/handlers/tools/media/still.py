"""Still-picture signatures: what kind of picture a file is that ffmpeg can't read, by its first bytes. Blocking."""

import os

SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"8BPS": "Photoshop",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"qoif": "QOI",
}
# Of ISO/IEC 23008-12 and AVIF: files and image sequences of these brands.
BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"), "HEIF"
)


def still(fd: int) -> str | None:
    """The format of a picture; None for what does not begin as one."""
    head = os.pread(fd, 16, 0)
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for signature, name in SIGNATURES.items() if head.startswith(signature)), None)
