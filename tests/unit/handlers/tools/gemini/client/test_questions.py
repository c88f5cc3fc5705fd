import pytest

from secondunit.handlers.analyze.recipe import SCHEMA, recipe_from
from secondunit.handlers.tools.gemini.client import LONGEST_BODY, Gemini, TokensUsed
from secondunit.handlers.tools.gemini.responses import Usage, read
from secondunit.handlers.tools.gemini.transport import Question
from secondunit.queue.instrumentation import Fact, PieceDone, follow_run
from secondunit.queue.outcome import Deterministic, Postponed, Transient, Unanswered
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.jobs import new
from secondunit.testing.rig import SteadyRandom
from tests.unit.handlers.tools.gemini.client.scene import QUESTION, Bench, Purse, bench

pytestmark = pytest.mark.slow  # the real client takes seconds to import


async def test_a_question_arrives_as_it_was_meant_and_its_answer_comes_back_whole() -> None:
    async with bench() as b:
        answer = read(await b.ask())
    [asked] = b.stand_in.asked
    assert (asked.model, asked.key, asked.texts, asked.pictures) == (
        "gemini-x",
        "key-1",
        ["Look:", "Write."],
        [b"\xff\xd8picture"],
    )
    config = asked.body["generationConfig"]
    assert (config["temperature"], config["maxOutputTokens"]) == (0, 4096)
    assert (config["responseMimeType"], config["responseJsonSchema"]) == ("application/json", SCHEMA)
    assert asked.body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert recipe_from(answer.text).name == "Stand-in soup"
    assert (answer.usage, answer.blocked, answer.cut) == (Usage(1000, 200, 50, 1250), None, False)


@pytest.mark.parametrize(
    ("behaviour", "means"),
    [
        ("close", Unanswered),
        ("half", Unanswered),
        ("status:500", Transient),
        ("status:503", Transient),
        ("rate:3", Postponed),
        ("daily", Postponed),
        ("key", Deterministic),
    ],
)
async def test_the_client_never_asks_again_by_itself(behaviour: str, means: type[Exception]) -> None:
    async with bench(behaviour) as b:
        await b.refused(means)
        assert len(b.stand_in.asked) == 1


@pytest.mark.parametrize("behaviour", ["close", "half"])
async def test_an_answer_that_breaks_off_may_have_been_charged(behaviour: str) -> None:
    async with bench(behaviour) as b:
        assert (await b.refused(Unanswered)).type == "gemini_unanswered"


async def test_an_answer_that_does_not_come_in_time_may_have_been_charged() -> None:
    async with bench("hang", limit=0.3) as b:
        assert "TimeoutError" in str(await b.refused(Unanswered))


async def test_a_question_that_never_left_was_not_charged() -> None:
    stand_in = StandIn()
    async with stand_in.serving() as url:
        lost = Bench(url, stand_in)
    error = await lost.refused(Transient)
    await lost.gemini.close()
    assert error.type == "gemini_unreachable"


async def test_tokens_are_announced_with_thoughts_as_output() -> None:
    async with bench() as b:
        await b.gemini.count(read(await b.ask()).usage)
        [used] = b.facts
        assert isinstance(used, TokensUsed) and (used.usage.prompt, used.usage.answered) == (1000, 250)


async def test_a_followed_run_tells_each_question_by_its_model_and_how_it_went() -> None:
    async with bench("status:503", "answer") as b:
        facts = list[Fact]()
        follow_run(new("a").job, b.clock, facts.append)
        await b.refused(Transient)
        await b.ask()
        told = [(fact.kind, fact.name, fact.figures, fact.fault) for fact in facts if isinstance(fact, PieceDone)]
        model = {"model": b.gemini.model}
        assert told == [("call", "gemini", model, "GeminiHttpError"), ("call", "gemini", model, None)]


async def test_an_endless_answer_is_kept_only_in_part() -> None:
    class Endless:
        async def send(self, question: Question) -> str:
            return "x" * (LONGEST_BODY + 1)

        async def close(self) -> None: ...

    gemini = Gemini(Endless(), "m", clock=ManualClock(), random=SteadyRandom(), spending=Purse())
    assert len(await gemini.ask(QUESTION)) == LONGEST_BODY


async def test_the_key_is_in_no_error() -> None:
    for behaviour in ("key", "status:403", "status:500", "close", "rate:1"):
        async with bench(behaviour) as b:
            with pytest.raises((Transient, Postponed, Deterministic)) as caught:
                await b.ask()
            assert "key-1" not in f"{caught.value!r} {caught.value.__cause__!r}"
