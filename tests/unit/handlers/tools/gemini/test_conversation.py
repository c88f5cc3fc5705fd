"""The questions of a run: each is paid for once, a cut or unfit answer has one more chance, and tokens are counted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.gemini.conversation import LONGER_OUTPUT, OUTPUT, Conversation
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.gemini.structured import Unfit
from secondunit.handlers.tools.gemini.transport import Question
from secondunit.queue.outcome import Deterministic
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext

QUESTION = Question("Be brief.", ["What is it?"], {}, OUTPUT)
SPENT = {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 15}


def body(text: str, finish: str = "STOP") -> str:
    candidate = {"finishReason": finish, "content": {"parts": [{"text": text}]}}
    return json.dumps({"candidates": [candidate], "usageMetadata": SPENT})


class Model:
    """Answers by script, and counts what is paid."""

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.asked: list[Question] = []
        self.counted: list[Usage] = []

    async def ask(self, question: Question) -> str:
        self.asked.append(question)
        return self.script.pop(0)

    async def count(self, usage: Usage, model: str | None = None) -> None:
        self.counted.append(usage)


def fits(text: str) -> str:
    if text != "fits":
        raise Unfit("it does not fit")
    return text


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path)


def talk(model: Any, ctx: FakeContext) -> Conversation:
    return Conversation(model, ManualClock(), ctx)


async def test_an_answer_that_fits_is_asked_for_once_and_a_later_run_reads_it_from_its_step(ctx: FakeContext) -> None:
    model = Model(body("fits"))
    first = talk(model, ctx)
    assert await first.understand("places", QUESTION, fits) == "fits"
    again = talk(model, await ctx.rerun())
    assert await again.understand("places", QUESTION, fits) == "fits"
    assert len(model.asked) == len(model.counted) == 1, "paid and counted once"
    assert first.usage == again.usage == Usage(10, 3, 2, 15), "but it took these tokens whenever it was given"


async def test_a_cut_answer_is_asked_for_at_greater_length(ctx: FakeContext) -> None:
    model = Model(body("fi", "MAX_TOKENS"), body("fits"))
    conversation = talk(model, ctx)
    assert await conversation.understand("places", QUESTION, fits) == "fits"
    assert [asked.max_output_tokens for asked in model.asked] == [OUTPUT, LONGER_OUTPUT]
    assert ctx.ran == ["places", "places-longer"] and conversation.usage.total == 30


async def test_an_unfit_answer_is_shown_to_the_model_with_its_faults(ctx: FakeContext) -> None:
    model = Model(body("odd"), body("fits"))
    assert await talk(model, ctx).understand("places", QUESTION, fits) == "fits"
    assert ctx.ran == ["places", "places-repair"]
    words = " ".join(map(str, model.asked[1].parts))
    assert "What is it?" in words and "it does not fit" in words and '"odd"' in words


@pytest.mark.parametrize(
    ("script", "type", "asked"),
    [
        ((body("odd"), body("odder")), "bad_answer", 2),
        ((body("o", "MAX_TOKENS"), body("odd", "MAX_TOKENS"), body("x", "MAX_TOKENS")), "answer_too_long", 3),
        ((body("", "SAFETY"),), "blocked", 1),
        ((body("odd"), body("", "RECITATION")), "blocked", 2),
    ],
)
async def test_after_three_answers_at_most_it_is_over(
    ctx: FakeContext, script: Sequence[str], type: str, asked: int
) -> None:
    model = Model(*script)
    with pytest.raises(Deterministic) as failed:
        await talk(model, ctx).understand("places", QUESTION, fits)
    assert (failed.value.type, len(model.asked), len(model.counted)) == (type, asked, asked)
