"""Subtitles are read in yt-dlp's program, and what the daemon gets of them has a bound."""

import json
from pathlib import Path

import pytest

from secondunit.handlers.tools.fetching.ytdlp.jail import DownloadRefused
from secondunit.handlers.tools.fetching.ytdlp.subtitles import write_cues
from secondunit.handlers.tools.subtitles.cue import LONGEST_CUE, MOST_BYTES, MOST_CUES, cues_file


def written(folder: Path, text: str) -> list[list[object]]:
    file = folder / "subtitles"
    file.write_text(text)
    write_cues(file)
    assert cues_file(file).stat().st_size <= MOST_BYTES
    return [json.loads(line) for line in cues_file(file).read_text().splitlines()]


def test_cues_come_a_line_each(tmp_path: Path) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.500\none\ntwo\n\n00:03.000 --> 00:04.000\n\u2028three"
    assert written(tmp_path, text) == [[1.0, 2.5, "one two"], [3.0, 4.0, "three"]]


def test_more_cues_than_anybody_says_are_cut_off_one_later(tmp_path: Path) -> None:
    found = written(tmp_path, json.dumps({"events": _events(MOST_CUES + 500)}))
    assert len(found) == MOST_CUES + 1


def test_one_endless_cue_becomes_several(tmp_path: Path) -> None:
    found = written(tmp_path, "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "word " * 2000)
    assert [len(str(text)) for _, _, text in found] == [LONGEST_CUE] * 4 + [1999]


def test_what_does_not_fit_is_left_out(tmp_path: Path) -> None:
    events = [{"tStartMs": n, "segs": [{"utf8": f"{n} " + "é" * 1900}]} for n in range(1000)]
    found = written(tmp_path, json.dumps({"events": events}, ensure_ascii=False))
    assert 300 < len(found) < 400


@pytest.mark.parametrize("text", ["<html>", '{"a":' * 50_000, '{"events": [' + "[]," * 10_000 + "[]]}"])
def test_what_is_no_subtitles_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "subtitles").write_text(text)
    with pytest.raises(DownloadRefused, match="its subtitles can't be read") as caught:
        write_cues(tmp_path / "subtitles")
    assert caught.value.type == "bad_subtitles"


def _events(count: int) -> list[dict[str, object]]:
    return [{"tStartMs": 1000 * n, "segs": [{"utf8": f"line {n}"}]} for n in range(count)]
