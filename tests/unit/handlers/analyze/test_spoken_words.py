"""What is said in a video goes to the model with its times, within bounds."""

import json
from typing import Any

import pytest

from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.queue.outcome import Transient
from tests.unit.handlers.analyze.conftest import URL


async def test_what_is_said_in_a_video_is_told_to_the_model_with_its_times(kitchen: Any) -> None:
    k = kitchen()
    k.videos.cues = [Cue(1.0, 3.0, "Chop the leeks."), Cue(4.0, 5.0, "All of them."), Cue(65.0, 66.0, "Fry them.")]
    ctx = await k.context()
    await k.analyze(ctx, videoUrl=URL, language="en-GB", frames=1)
    [question] = k.transport.asked
    assert question.parts[2] == (
        'What is said in the video (data): ["00:01 Chop the leeks. All of them.", "01:05 Fry them."]'
    )
    assert k.videos.languages == ["en-GB"]


async def test_words_outlive_a_crash_with_the_video_they_came_with(kitchen: Any) -> None:
    k = kitchen(Transient("500"))
    k.videos.cues = [Cue(1.0, 3.0, "Chop the leeks.")]
    ctx = await k.context()
    with pytest.raises(Transient):
        await k.analyze(ctx)
    await k.analyze(await ctx.rerun())
    first, second = k.transport.asked
    assert first.parts[2] == second.parts[2] == 'What is said in the video (data): ["00:01 Chop the leeks."]'
    assert len(k.videos.fetched) == 1


async def test_a_download_that_was_stored_before_there_were_words_is_still_good(kitchen: Any) -> None:
    k = kitchen(Transient("500"))
    ctx = await k.context()
    with pytest.raises(Transient):
        await k.analyze(ctx)
    del ctx.steps["download"]["said"]
    await k.analyze(await ctx.rerun())
    assert not [part for part in k.transport.asked[-1].parts if isinstance(part, str) and "said" in part]


async def test_endless_talk_makes_neither_the_step_nor_the_question_too_large(kitchen: Any) -> None:
    k = kitchen()
    k.videos.cues = [Cue(at, at + 1, f"and then {at} " + "ö" * 280) for at in range(9999)]
    ctx = await k.context()
    await k.analyze(ctx)
    assert len(json.dumps(ctx.steps["download"])) < 400_000
    [said] = [part for part in k.transport.asked[0].parts if isinstance(part, str) and part.startswith("What is said")]
    assert 20_000 < len(said) < 30_000 and "and then 99" in said and "and then 1" in said
