"""Path policy of `s3://bucket/key`: inside which of MEDIA_BUCKETS it lies by its text, or why it may not be used."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from secondunit.handlers.tools.storage.roots import PathRefused, shown

SCHEME = "s3://"
LONGEST_KEY = 1024
ROOM_BENEATH = 128
# The names that general purpose buckets may have: lower case, digits, dots and hyphens, none of them at an edge.
BUCKET = re.compile(r"[a-z0-9](?!.*(\.\.|\.-|-\.))[a-z0-9.-]{1,61}[a-z0-9]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class S3Path:
    """An object, or all that lies beneath a name; `names` are the key's parts between slashes."""

    bucket: str
    names: tuple[str, ...]

    @property
    def key(self) -> str:
        """What S3 calls it within the bucket."""
        return "/".join(self.names)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    def beneath(self, name: str) -> "S3Path":
        """What has this relative name beneath here."""
        return S3Path(self.bucket, (*self.names, *name.split("/")))

    def holds(self, other: "S3Path") -> bool:
        """Whether `other` is this very spot or lies beneath it."""
        return self.bucket == other.bucket and other.names[: len(self.names)] == self.names


class Allowed:
    """The buckets, or parts of them, that payloads may name."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._roots = [entry_of(entry) for entry in entries]

    def locate(self, path: str) -> S3Path:
        """Where a file lies; Refused when it could not be an input or an output whatever is in the bucket."""
        return self._within(path, _s3_path(path))

    def locate_output(self, path: str, inputs: Sequence[str] = ()) -> S3Path:
        """As `locate`, for an object that is going to be replaced."""
        s3_path = self.locate(path)
        if any(self._holds(s3_path, source) for source in inputs):
            raise PathRefused(f"{shown(path)} is the input itself; name another key")
        return s3_path

    def locate_folder(self, path: str, inputs: Sequence[str] = ()) -> S3Path:
        """As `locate`, for what many files are put beneath: no whole entry of MEDIA_BUCKETS, no place of an input."""
        s3_path = self._within(path, _s3_path(path.removesuffix("/")))
        if len(s3_path.key.encode()) > LONGEST_KEY - ROOM_BENEATH:
            raise PathRefused(f"{shown(path)} is too long for what is put beneath it")
        for root in self._roots:
            if s3_path.holds(root):
                raise PathRefused(f"{shown(path)} contains {_listed(root)} of MEDIA_BUCKETS; name something beneath it")
        for source in inputs:
            if self._holds(s3_path, source):
                raise PathRefused(f"{shown(path)} contains the input {shown(source)}; name another folder")
        return s3_path

    def _holds(self, folder: S3Path, source: str) -> bool:
        """Whether an input lies beneath a folder; one that is refused itself lies nowhere."""
        try:
            return folder.holds(_s3_path(source))
        except PathRefused:
            return False

    def _within(self, path: str, s3_path: S3Path) -> S3Path:
        if not self._roots:
            raise PathRefused(f"{shown(path)} lies in a bucket, and MEDIA_BUCKETS allows none; set it to bucket/prefix")
        if not any(root.holds(s3_path) and root != s3_path for root in self._roots):
            allowed = ", ".join(map(_listed, self._roots))
            raise PathRefused(f"{shown(path)} is outside of MEDIA_BUCKETS; allowed is what lies beneath {allowed}")
        return s3_path


def entry_of(text: str) -> S3Path:
    """What one entry of MEDIA_BUCKETS means, `bucket` or `bucket/prefix`; ValueError says what is wrong with it."""
    if text.startswith(SCHEME):
        raise ValueError(f"{text!r} is written with {SCHEME}; leave that out")
    bucket, _, prefix = text.removesuffix("/").partition("/")
    _refuse_bucket(bucket, text)
    return S3Path(bucket, _names(prefix, text) if prefix else ())


def _s3_path(path: str) -> S3Path:
    if not path.startswith(SCHEME):
        raise PathRefused(f"{shown(path)} is not of the form s3://bucket/key")
    bucket, _, key = path.removeprefix(SCHEME).partition("/")
    _refuse_bucket(bucket, path)
    if not key:
        raise PathRefused(f"{shown(path)} names a bucket and no key in it; write it as s3://bucket/key")
    return S3Path(bucket, _names(key, path))


def _refuse_bucket(bucket: str, path: str) -> None:
    if not BUCKET.fullmatch(bucket):
        raise PathRefused(f"{shown(path)}: {shown(bucket)} can't be a bucket's name")


def _names(key: str, path: str) -> tuple[str, ...]:
    """The parts of a key, checked one by one."""
    names = tuple(key.split("/"))
    if names[-1] == "":
        raise PathRefused(f"{shown(path)} ends in a slash; name a file")
    if "" in names:
        raise PathRefused(f"{shown(path)} has an empty name between two slashes")
    if {".", ".."} & set(names):
        raise PathRefused(f"{shown(path)} contains '.' or '..' as a name; write the key without it")
    if CONTROL.search(key):
        raise PathRefused(f"{shown(path)} contains a control character")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise PathRefused("a key must be valid UTF-8") from None
    if size > LONGEST_KEY:
        raise PathRefused(f"{shown(path)} is too long: a key may have {LONGEST_KEY} bytes")
    return names


def _listed(root: S3Path) -> str:
    return str(root).removesuffix("/")
