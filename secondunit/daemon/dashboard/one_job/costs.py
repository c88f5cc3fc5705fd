"""Costs of a job's steps: tokens and an estimate in US dollars, read from the answers that paid steps keep; pure."""

from collections.abc import Mapping, Sequence

from secondunit.handlers.tools.gemini.prices import cost
from secondunit.handlers.tools.gemini.responses import Usage, read
from secondunit.queue.store import Step
from secondunit.queue.value import Value


class PaidStep(Value, frozen=True):
    """A step, and what it cost: `usage` None of one that asked nobody, `dollars` None where no price is known."""

    step: Step
    usage: Usage | None = None
    model: str = ""
    dollars: float | None = None


def costs(steps: Sequence[Step]) -> Sequence[PaidStep]:
    """The steps in their order, each with what it cost."""
    return [_cost(step) for step in steps]


def total(steps: Sequence[PaidStep]) -> PaidStep | None:
    """What they cost together; None if nobody was asked."""
    paid = [one for one in steps if one.usage is not None]
    if not paid:
        return None
    usage = sum((one.usage for one in paid if one.usage), Usage())
    known = [one.dollars for one in paid if one.dollars is not None]
    return PaidStep(paid[-1].step, usage, dollars=sum(known) if len(known) == len(paid) else None)


def _cost(step: Step) -> PaidStep:
    body = step.result.get("body") if step.sends and isinstance(step.result, Mapping) else None
    if not isinstance(body, str):
        return PaidStep(step)
    answer = read(body)
    return PaidStep(step, answer.usage, answer.model, cost(answer.model, answer.usage, step.at.date()))
