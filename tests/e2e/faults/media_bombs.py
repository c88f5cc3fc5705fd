"""Media bombs: pictures, playlists, subtitles and a commit whose size is told by what they unfold to."""

import gzip
import os
import struct
import subprocess
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image  # noqa: TID253 - the test makes pictures, the daemon does not

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BILLION_LAUGHS = f'<?xml version="1.0"?><!DOCTYPE MPD [<!ENTITY l0 "ha">{LAUGHS}]>\n'
WHO = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SMALL = (16, 16)


def gif(frames: int, side: int) -> bytes:
    """An animation (GIF89a) of that many frames of one pixel, 23 bytes each, on a square canvas."""
    head = b"GIF89a" + struct.pack("<HHBBB6x", side, side, 0x80, 0, 0)
    frame = b"\x21\xf9\x04\x04\x01\x00\x00\x00," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02%b\x01\x00"
    return head + (frame % b"\x44" + frame % b"\x4c") * (frames // 2) + b";"


def webp(frames: int, canvas: tuple[int, int] = SMALL) -> bytes:
    """An animation (RIFF: VP8X, ANIM, ANMF...) that says the same small frame that many times, on such a canvas."""
    made = BytesIO()
    pictures = [Image.new("RGB", SMALL, colour) for colour in ("red", "blue")]
    pictures[0].save(made, "WEBP", save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    content = made.getvalue()
    at = content.index(b"ANMF")
    end = at + 8 + (int.from_bytes(content[at + 4 : at + 8], "little") + 1) // 2 * 2
    size = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
    extended = content.index(b"VP8X") + 12
    head = content[12:extended] + size + content[extended + 6 : at]
    return b"RIFF" + struct.pack("<I", 4 + len(head) + frames * (end - at)) + b"WEBP" + head + content[at:end] * frames


def avif(side: int) -> bytes:
    """A picture whose container says (`ispe`) that it has such a side."""
    made = BytesIO()
    Image.new("RGB", SMALL).save(made, "AVIF")
    head, name, rest = made.getvalue().partition(b"ispe")
    return head + name + rest[:4] + struct.pack(">II", side, side) + rest[12:]


def png_with_text(megabytes: int) -> bytes:
    """A picture of one pixel, and a comment (zTXt) of that size."""
    made = BytesIO()
    Image.new("RGB", (1, 1)).save(made, "PNG")
    packer = zlib.compressobj(1)
    text = b"zTXtComment\0\0" + b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return made.getvalue()[:33] + chunk + made.getvalue()[33:]


def packed(megabytes: int, content: bytes = b" ") -> bytes:
    """So many megabytes in gzip, a thousandth of them."""
    made = BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=6) as file:
        for _ in range(megabytes):
            file.write((content * (1 << 20))[: 1 << 20])
    return made.getvalue()


def cues(count: int, words: str = "we go to thing {n}") -> str:
    """WebVTT of so many cues."""
    times = (f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000" for n in range(count))
    return "WEBVTT\n\n" + "".join(f"{at} --> {at}\n{words.format(n=n)}\n\n" for n, at in enumerate(times))


def page(*tracks: str) -> bytes:
    """A page that shows a film with these subtitles."""
    listed = "".join(f'<track kind="subtitles" srclang="en" src="{track}">' for track in tracks)
    head = f"<html><head><title>{tracks}</title></head>"
    return f'{head}<body><video src="/film.mp4">{listed}</video></body></html>'.encode()


def dash(repeated: int, head: str = "", words: str = "") -> bytes:
    """A manifest (MPEG-DASH) with this head and title, whose only segment is said to come again so many times."""
    timeline = f'<SegmentTimeline><S t="0" d="1" r="{repeated}"/></SegmentTimeline>'
    template = f'<SegmentTemplate timescale="1" media="$Number$.m4s">{timeline}</SegmentTemplate>'
    video = f'<Representation id="1" bandwidth="1">{template}</Representation>'
    adaptation = f'<AdaptationSet mimeType="video/mp4">{video}</AdaptationSet>'
    period = f"<ProgramInformation><Title>{words}</Title></ProgramInformation><Period>{adaptation}</Period>"
    return f'{head}<MPD type="static" mediaPresentationDuration="PT9H">{period}</MPD>'.encode()


class Upstream:
    """A bare repository whose branches are made of objects alone: nothing of them ever lay in a working folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git("init", "--quiet", "--bare", str(path))

    def tree_bomb(self, branch: str, depth: int = 9) -> None:
        """A commit of ten to the power of `depth` files, in a dozen objects."""
        thing = self._git("hash-object", "-w", "--stdin", said=b"")
        kind = "100644 blob"
        for _ in range(depth):
            thing = self._git("mktree", said="".join(f"{kind} {thing}\t{n}\n" for n in range(10)).encode())
            kind = "040000 tree"
        self._commit(branch, thing)

    def blob_bomb(self, branch: str, megabytes: int) -> None:
        """A commit of one file, of zeros."""
        blob = self._git("hash-object", "-w", "--stdin", said=bytes(megabytes << 20))
        self._commit(branch, self._git("mktree", said=f"100644 blob {blob}\tzeros\n".encode()))

    def _commit(self, branch: str, tree: str) -> None:
        self._git("update-ref", f"refs/heads/{branch}", self._git("commit-tree", tree, "-m", "a bomb"))

    def _git(self, *argv: str, said: bytes | None = None) -> str:
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_DIR": str(self.path), **WHO}
        done = subprocess.run(["git", *argv], input=said, check=True, capture_output=True, env=environment)
        return done.stdout.decode().strip()
