"""Bugs in the state machine and the retry policy."""

from mutant import Mutant, unit

STATE, RETRY = "state.py", "retry.py"

RULES = [
    Mutant(
        "a failure overrides a wish to cancel",
        STATE,
        "        case _ if job.cancel_requested:\n            return _cancelled(job, now)\n",
        "",
        unit("state", "a_wish_to_cancel_wins_over_everything_else"),
    ),
    Mutant(
        "a lost run that was to be cancelled starts again",
        STATE,
        "        raise LeaseLost(job.id, job.epoch)\n    if job.cancel_requested:",
        "        raise LeaseLost(job.id, job.epoch)\n    if False:",
        unit("state", "a_lost_run_that_was_to_be_cancelled_is_cancelled"),
    ),
    Mutant(
        "progress falls",
        STATE,
        "fraction = max(job.progress, min(fraction, 1.0))",
        "fraction = max(0.0, min(fraction, 1.0))",
        unit("state", "progress_never_falls"),
    ),
    Mutant(
        "a drain costs an attempt",
        STATE,
        "back = replace(job, interruptions=job.interruptions + 1)\n            return",
        "back = replace(job, attempt=job.attempt + 1)\n            return",
        unit("state", "an_interruption_costs_no_attempt"),
    ),
    Mutant(
        "a crash costs an attempt",
        STATE,
        "job = replace(job, reclaims=job.reclaims + 1)",
        "job = replace(job, reclaims=job.reclaims + 1, attempt=job.attempt + 1)",
        unit("state", "a_lost_run_is_queued_again_at_no_cost"),
    ),
    Mutant(
        "poison is tried once more",
        STATE,
        "if job.reclaims >= POISON_AFTER:",
        "if job.reclaims > POISON_AFTER:",
        unit("state", "a_job_that_the_daemon_dies_under_again_and_again_is_poison"),
    ),
    Mutant(
        "a finished step does not clear the reclaims",
        STATE,
        "return Change(replace(job, reclaims=0, updated_at=now))",
        "return Change(replace(job, updated_at=now))",
        unit("state", "a_finished_step_shows_that_the_job_is_no_poison"),
    ),
    Mutant(
        "an epoch is used again",
        STATE,
        "epoch = job.epoch + 1\n",
        "epoch = max(job.epoch, 1)\n",
        unit("state", "a_start_gives_a_lease_under_a_new_epoch"),
    ),
    Mutant(
        "an operator's recovery leaves the epoch",
        STATE,
        "replace(job, epoch=job.epoch + 1, interruptions",
        "replace(job, interruptions",
        unit("state", "an_operator_takes_a_job_away_under_a_new_epoch"),
    ),
    Mutant(
        "a deterministic failure is retried",
        STATE,
        "if outcome.retryable else None",
        "if True else None",
        unit("state", "a_deterministic_failure_ends_the_job_at_once"),
    ),
    Mutant(
        "a notice at every move",
        STATE,
        "return Change(job, _event(job, name, now))",
        "return Change(job, _event(job, name, now), _notice(job, now))",
        unit("state", "an_end_and_only_an_end_has_a_notice"),
    ),
    Mutant(
        "an end without its notice",
        STATE,
        "return Change(job, _event(job, status.value, now), _notice(job, now))",
        "return Change(job, _event(job, status.value, now))",
        unit("state", "an_end_and_only_an_end_has_a_notice"),
    ),
    Mutant(
        "an ended job can be cancelled",
        STATE,
        'if job.status.ended:\n        raise NotAllowed(job.id, f"it is {job.status} already")',
        'if False:\n        raise NotAllowed(job.id, f"it is {job.status} already")',
        unit("state", "an_ended_job_cannot_be_cancelled"),
    ),
    Mutant(
        "a shared job can be cancelled",
        STATE,
        "if job.sharers > 1:",
        "if job.sharers > 2:",
        unit("state", "a_shared_job_cannot_be_cancelled"),
    ),
    Mutant(
        "a retried job starts with a used attempt",
        STATE,
        "        attempt=1,\n",
        "",
        unit("state", "an_ended_job_is_retried_with_all_its_attempts"),
    ),
    Mutant(
        "one retry too many",
        RETRY,
        "if attempt > self.max_retries:",
        "if attempt > self.max_retries + 1:",
        unit("retry", "there_are_as_many_retries_as_allowed_and_no_more"),
    ),
    Mutant(
        "jitter shortens the wait",
        RETRY,
        "(1 + JITTER * random.random())",
        "(1 - JITTER * random.random())",
        unit("retry", "jitter_only_adds_and_at_most_a_fifth"),
    ),
    Mutant(
        "a group is retried though one of it can't be helped",
        "outcome.py",
        "return min((classify",
        "return max((classify",
        unit("outcome", "a_group_is_retried_only_if_all_of_it_is"),
    ),
]
