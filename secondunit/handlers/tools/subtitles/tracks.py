"""Subtitle track selection among those that a video has, as yt-dlp lists them; pure, loaded by its program too."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

MANUAL, AUTOMATIC = "manual", "automatic"
UNDETERMINED = "und"
# The best first. A page's <track> need not end in .vtt; what it is shows in its text.
FORMATS = ("json3", "vtt", "srt", "unknown_video")
CHATS = ("live_chat", "rechat", "danmaku", "comments")
ORIGINAL = "-orig"  # how yt-dlp marks the language in which a video at YouTube is spoken
TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")
# Streams often name a language by ISO 639-2's three letters, where BCP 47 has two.
SHORT = dict(
    pair.split(":")
    for pair in "ara:ar ces:cs cze:cs dan:da deu:de ger:de ell:el gre:el eng:en fin:fi fra:fr fre:fr heb:he hin:hi"
    " hun:hu ind:id ita:it jpn:ja kor:ko msa:ms may:ms nld:nl dut:nl nor:no pol:pl por:pt ron:ro rum:ro rus:ru spa:es"
    " swe:sv tha:th tur:tr ukr:uk vie:vi zho:zh chi:zh".split()
)
SCRIPTS = {"tw": "hant", "hk": "hant", "mo": "hant", "cn": "hans", "sg": "hans", "my": "hans"}


@dataclass(frozen=True, slots=True)
class Track:
    """One language's subtitles in the format that is read best; `place` is yt-dlp's word for where they are."""

    language: str
    kind: str
    place: Mapping[str, Any]


def tracks(info: Mapping[str, Any]) -> Sequence[Track]:
    """The subtitles that can be read, those that people made first.

    No chats, and no translations by machine: they say less than the original, and sites ration them.
    """
    manual = _tracks(info.get("subtitles") or {}, MANUAL)
    return [*manual, *_tracks(info.get("automatic_captions") or {}, AUTOMATIC)]


def chosen(offered: Sequence[Track], wanted: str | None, own: str | None) -> Track | None:
    """The one to read: in the wanted language, else the video's own, else English, else the first there is.

    Within a language what people made comes before what machines heard, then the nearest variant.
    """
    for language in (wanted, own, "en"):
        fitting = [track for track in offered if language and nearness(language, track.language)]
        if fitting:
            return max(fitting, key=lambda track: (track.kind == MANUAL, nearness(language or "", track.language)))
    return next(iter(offered), None)


def own_language(info: Mapping[str, Any]) -> str | None:
    """The language that is spoken in the video, as far as it is told."""
    if info.get("language"):
        return str(info["language"])
    marked = [name for name in info.get("automatic_captions") or {} if str(name).endswith(ORIGINAL)]
    if marked:
        return str(marked[0]).removesuffix(ORIGINAL)
    spoken = [form for form in info.get("formats") or () if form.get("language")]
    best = max(spoken, key=lambda form: form.get("language_preference") or -1, default=None)
    return str(best["language"]) if best else None


def nearness(wanted: str, offered: str) -> int:
    """How near a language tag (BCP 47) is to another: 0 another language, 4 the same.

    3: the same script (zh-TW is written as zh-Hant is); 2: one of them leaves it open; 1: another script or country.
    """
    one, other = _parts(wanted), _parts(offered)
    if one == other:
        return 4
    if one[0] != other[0]:
        return 0
    scripts = {_script(one), _script(other)}
    if scripts == {None}:
        return 2 if 1 in (len(one), len(other)) else 1
    if None in scripts:
        return 2
    return 3 if len(scripts) == 1 else 1


def _tracks(languages: Mapping[Any, Sequence[Mapping[str, Any]]], kind: str) -> Iterator[Track]:
    for name, places in languages.items():
        tag = str(name or UNDETERMINED).removesuffix(ORIGINAL)
        readable = [place for place in places if place.get("ext") in FORMATS and not _translated(place)]
        if readable and tag not in CHATS:
            place = min(readable, key=lambda place: FORMATS.index(place["ext"]))
            yield Track(tag if TAG.fullmatch(tag) else UNDETERMINED, kind, place)


def _translated(place: Mapping[str, Any]) -> bool:
    return "tlang" in parse_qs(urlsplit(str(place.get("url") or "")).query)


def _parts(tag: str) -> Sequence[str]:
    first, *rest = tag.lower().replace("_", "-").split("-")
    return [SHORT.get(first, first), *rest]


def _script(parts: Sequence[str]) -> str | None:
    """The script that a tag names; for Chinese also the one that its country writes."""
    named = next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), None)
    if named or parts[0] != "zh":
        return named
    return next((SCRIPTS[part] for part in parts[1:] if part in SCRIPTS), None)
