"""Judges the evidence: each way in which it contradicts an invariant is a sentence that begins with its name."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from tests.torture.evidence import Evidence, Row

ENDS = frozenset({"completed", "partial", "failed", "cancelled"})
POISON_AFTER = 3
SENDS = 2
# What may follow what in the events of one job; "" is its beginning.
FOLLOWS = {
    "": {"queued"},
    "queued": {"started", "cancelled"},
    "retrying": {"started", "cancelled"},
    "started": {"queued", "retrying", *ENDS},
    **{end: {"queued"} for end in ENDS},
}
# The daemon stamps "lost" when it is back; a run that was lost while it was stopped ends after that.
SLACK = 1.0
RUNS_KEPT = 50
HARMLESS = ("term", "full", "clock")
KILLS = ("kill", "early kill", "term and kill")

Found = Iterator[str]


def violations(evidence: Evidence) -> list[str]:
    """All of them; none is what must come out."""
    rules: Sequence[Callable[[Evidence], Found]] = (
        acknowledged_jobs_are_there,
        jobs_have_ended,
        histories_are_possible,
        children_wait_for_their_parents,
        endings_have_their_deliveries,
        attempts_are_bounded,
        lost_runs_lie_over_a_kill,
        answers_were_kept,
        finished_steps_ran_once,
        paid_steps_are_sent_twice_at_most,
        old_epochs_are_silent,
        callbacks_say_what_is_stored,
        callbacks_arrived,
        readers_missed_nothing,
        nothing_is_left,
    )
    return [sentence for rule in rules for sentence in rule(evidence)]


def acknowledged_jobs_are_there(e: Evidence) -> Found:
    """I1: an acknowledged submit is there, under its key, once."""
    jobs = {job["id"]: job for job in e.jobs}
    by_key: dict[str, set[str]] = defaultdict(set)
    for ack in e.acks:
        if ack.key:
            by_key[ack.key].add(ack.job)
        if ack.job not in jobs:
            yield f"I1: {ack.job} was acknowledged (key {ack.key}) and is not there"
        elif (jobs[ack.job]["idempotency_key"] or "") != ack.key:
            yield f"I1: {ack.job} was acknowledged for key {ack.key} and stands under another"
    for key, ids in by_key.items():
        if len(ids) > 1:
            yield f"I1: key {key} was answered with {len(ids)} jobs: {sorted(ids)}"
    stored = Counter(job["idempotency_key"] for job in e.jobs if job["idempotency_key"])
    for key, n in stored.items():
        if n > 1:
            yield f"I1: key {key} made {n} jobs"
        if key not in by_key and key not in e.unanswered:
            yield f"I1: a job stands under key {key}, which nobody sent"


def jobs_have_ended(e: Evidence) -> Found:
    """I1: after the drain every job has ended."""
    for job in e.jobs:
        if job["status"] not in ENDS:
            yield f"I1: {job['id']} ({job['type']}) is {job['status']} after everything had time to end"


def histories_are_possible(e: Evidence) -> Found:
    """I2, I4, I6: each job's events follow one another as they may, one run at a time, one terminal event an ending."""
    for job, events in _by_job(e):
        names = [event["name"] for event in events]
        for before, after in pairwise(["", *names]):
            if before == after == "queued" and job["id"] in e.parents:
                continue  # its parents have ended
            if after not in FOLLOWS.get(before, set()):
                yield f"{_broken_rule(before, after)}: {job['id']}: {after} after {before or 'nothing'} in {names}"
        if names and job["status"] in ENDS and names[-1] != job["status"]:
            yield f"I4: {job['id']} is {job['status']}, its last event is {names[-1]}"
        started, recovered = names.count("started"), _recovered(job)
        if job["epoch"] != started + recovered and len(job["runs"]) < RUNS_KEPT:
            yield f"I2: {job['id']} was started {started} times, recovered {recovered}, and has epoch {job['epoch']}"
        again = sum(a in ENDS and b == "queued" for a, b in pairwise(names))
        least, most = e.retried.get(job["id"], 0), e.maybe_retried.get(job["id"], 0)
        if not least <= again <= most:
            yield f"I6: {job['id']} was queued again {again} times after an end; retries: {least} answered, {most} sent"


def children_wait_for_their_parents(e: Evidence) -> Found:
    """I2: a job that depends on others starts once each of them has ended."""
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}
    for event in e.events:
        first = begun if event["name"] == "started" else ended if event["name"] in ENDS else {}
        first.setdefault(event["job_id"], event["seq"])
    for child, parents in e.parents.items():
        for parent in parents:
            if child in begun and not ended.get(parent, begun[child]) < begun[child]:
                yield f"I2: {child} started before {parent} had ended, which it depends on"


def endings_have_their_deliveries(e: Evidence) -> Found:
    """I4: one delivery row for each ending of a job that asked for one, none else."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in e.deliveries:
        rows[row["job_id"]].append(row)
    for job, events in _by_job(e):
        endings = [event["name"] for event in events if event["name"] in ENDS]
        due = endings if job["target_address"] else []
        told = [row["notice"]["status"] for row in rows[job["id"]]]
        if told != due:
            yield f"I4: {job['id']} ended as {endings} and its deliveries tell of {told}"
        epochs = [row["notice"]["epoch"] for row in rows[job["id"]]]
        if epochs != sorted(epochs):
            yield f"I3: the deliveries of {job['id']} carry epochs {epochs}"


def attempts_are_bounded(e: Evidence) -> Found:
    """I5: failed attempts never exceed maxRetries + 1; only a failure is counted as one; each run is in the history."""
    for job, events in _by_job(e):
        failures = 0
        for before, event in pairwise([{"name": ""}, *events]):
            if before["name"] in ENDS:
                failures = 0
            failures += event["name"] == "retrying"
            if failures > job["max_retries"]:
                yield f"I5: {job['id']} failed more often than its {job['max_retries']} retries allow"
                break
        if job["attempt"] != failures + 1:
            yield f"I5: {job['id']} is at attempt {job['attempt']} after {failures} failed ones"
        started = job["epoch"] - _recovered(job)
        if len(job["runs"]) != min(started, RUNS_KEPT) and job["status"] in ENDS and len(job["runs"]) < RUNS_KEPT:
            yield f"I5: {job['id']} was started {started} times and remembers {len(job['runs'])} runs"
        if job["reclaims"] > POISON_AFTER:
            yield f"I5: {job['id']} was reclaimed {job['reclaims']} times, {POISON_AFTER} are the end"
        poisoned = (job["error"] or {}).get("type") == "poison"
        if poisoned != (job["reclaims"] == POISON_AFTER):
            yield f"I5: {job['id']} has {job['reclaims']} reclaims, poison: {poisoned}"


def lost_runs_lie_over_a_kill(e: Evidence) -> Found:
    """I5: a run is lost only if the daemon was killed or stopped while it ran; no neighbour is charged with a crash."""
    for job in e.jobs:
        for run in job["runs"]:
            if run["outcome"] not in ("lost", "crashed"):
                continue
            begun, ended = run["started_at"], run["finished_at"] + SLACK
            begun, ended = begun - e.clock_moves, ended + e.clock_moves
            deadly = [span for span in e.spans if span.kind not in HARMLESS]
            if run["outcome"] == "crashed":
                deadly = [span for span in deadly if span.kind in KILLS or job["type"] == "crash" == span.kind]
            if not any(span.begin <= ended and span.end >= begun - SLACK for span in deadly):
                yield f"I5: {job['id']} lost its run of epoch {run['epoch']} though nobody killed the daemon"


def answers_were_kept(e: Evidence) -> Found:
    """I6: a cancellation that was answered is in the job's history."""
    names = {job["id"]: [event["name"] for event in events] for job, events in _by_job(e)}
    for job_id in e.cancelled:
        if "cancelled" not in names.get(job_id, []):
            yield f"I6: the cancellation of {job_id} was answered, its events are {names.get(job_id)}"


def finished_steps_ran_once(e: Evidence) -> Found:
    """I7: no step begins once its result is stored, or was given back to its run; its answer never changes."""
    rows = {(row["job_id"], row["name"]): row for row in e.steps if row["done"]}
    answers: dict[tuple[str, str], str] = {}
    for line in e.diary:
        step = (line["job"], line.get("step", ""))
        name = f"step {step[1]} of {step[0]}"
        if line["what"] == "begin" and step in answers:
            yield f"I7: {name} began again in epoch {line['epoch']}, after it was finished"
        elif line["what"] == "begin" and step in rows and line["at"] > rows[step]["at"] + 2 * e.clock_moves:
            yield f"I7: {name} began {line['at'] - rows[step]['at']:.3f} s after its result was stored"
        elif line["what"] == "stored":
            if answers.setdefault(step, line["answer"]) != line["answer"]:
                yield f"I7: {name} answered {answers[step]}, later {line['answer']}"
            if step not in rows:
                yield f"I7: {name} was given back and is not stored"
    for job in e.jobs:
        if job["type"] == "steps" and job["status"] == "completed":
            kept = {name: answers.get((job["id"], name)) for name in job["result"]}
            if kept != job["result"]:
                yield f"I7: {job['id']} gave {job['result']}, its steps had answered {kept}"


def paid_steps_are_sent_twice_at_most(e: Evidence) -> Found:
    """I7: for each time that somebody asked for the job."""
    sends = Counter(line["job"] for line in e.diary if line["what"] == "begin" and line["step"] == "ask")
    for job_id, n in sends.items():
        if n > SENDS * (1 + e.maybe_retried.get(job_id, 0)):
            yield f"I7: the paid step of {job_id} was sent {n} times"


def old_epochs_are_silent(e: Evidence) -> Found:
    """I2, I3: no run does anything once a later one of its job has begun."""
    newest: dict[str, int] = {}
    runs: Counter[tuple[str, int]] = Counter()
    for line in e.diary:
        job, epoch = line["job"], line["epoch"]
        if epoch < newest.get(job, 0):
            yield f"I3: {job}: epoch {epoch} wrote {line['what']} {line.get('step', '')} after epoch {newest[job]}"
        newest[job] = max(epoch, newest.get(job, 0))
        runs[job, epoch] += line["what"] == "run"
    for (job, epoch), n in runs.items():
        if n > 1:
            yield f"I2: epoch {epoch} of {job} ran {n} times"


def callbacks_say_what_is_stored(e: Evidence) -> Found:
    """I3, I4: a callback tells of its delivery's row, unchanged at every try, in the order of epochs."""
    rows = {row["id"]: row for row in e.deliveries}
    first: dict[str, tuple[int, Row]] = {}
    newest: dict[str, int] = {}
    for arrival in e.arrivals:
        row, body, job_id = rows.get(arrival.delivery), arrival.body, arrival.body["jobId"]
        if row is None:
            yield f"I4: delivery {arrival.delivery} arrived and is not in the outbox"
            continue
        if arrival.delivery not in first and arrival.epoch < newest.get(job_id, 0):
            yield f"I3: a callback of {job_id} with epoch {arrival.epoch} came after one with {newest[job_id]}"
        newest[job_id] = max(arrival.epoch, newest.get(job_id, 0))
        if first.setdefault(arrival.delivery, (arrival.epoch, body)) != (arrival.epoch, body):
            yield f"I4: delivery {arrival.delivery} said other things at another try"
        if (job_id, body["status"], arrival.epoch) != (row["job_id"], row["notice"]["status"], row["notice"]["epoch"]):
            yield f"I4: delivery {arrival.delivery} says {body['status']} of {job_id}, its row something else"


def callbacks_arrived(e: Evidence) -> Found:
    """I4: each delivery was taken by its receiver, and counts as delivered only if it was."""
    taken = {arrival.delivery for arrival in e.arrivals if 200 <= arrival.answered < 300}
    for row in e.deliveries:
        if row["state"] != "delivered":
            yield f"I4: delivery {row['id']} of {row['job_id']} is {row['state']} after it had time to arrive"
        elif row["id"] not in taken:
            yield f"I4: delivery {row['id']} of {row['job_id']} counts as delivered and was never taken"


def readers_missed_nothing(e: Evidence) -> Found:
    """I8: what a reader got is what is stored: in order, without gap or repeat."""
    types = {job["id"]: job["type"] for job in e.jobs}
    for reading in e.readings:
        if reading.resets:
            yield f"I8: reader {reading.name} was reset {reading.resets} times"
        for before, after in pairwise(reading.seqs):
            if after <= before:
                yield f"I8: reader {reading.name} got event {after} after {before}"
        wanted = {
            event["seq"]
            for event in e.events
            if event["seq"] > reading.start and reading.type in (None, types[event["job_id"]])
        }
        if missed := sorted(wanted - set(reading.seqs)):
            yield f"I8: reader {reading.name} never got {len(missed)} events: {missed[:5]}..."
        if invented := sorted(set(reading.seqs) - wanted):
            yield f"I8: reader {reading.name} got events that are not stored for it: {invented[:5]}..."


def nothing_is_left(e: Evidence) -> Found:
    """I9, I10: no process, no file, no half output; the database is sound; the daemon ended as it may."""
    yield from (f"I9: outlived its daemon: {process}" for process in e.alive)
    yield from (f"I10: left behind: {path}" for path in e.stray)
    yield from (f"I10: seen half written: {path}" for path in e.torn)
    for job in e.jobs:
        done = job["type"] == "file" and job["status"] == "completed"
        if done and e.outputs.get(job["payload"]["output"]) != job["result"]["sha256"]:
            yield f"I10: {job['id']} completed and its file is not what it wrote"
    yield from (f"integrity: {sentence}" for sentence in e.integrity)
    yield from e.undone
    yield from (f"exit: after {how} the daemon ended with {code}" for how, code in e.exits)


def _recovered(job: Row) -> int:
    """How often an operator took the job from its run: that raises the epoch once more."""
    return sum(run["outcome"] == "recovered" for run in job["runs"])


def _by_job(e: Evidence) -> Iterator[tuple[Row, Sequence[Row]]]:
    events: Mapping[str, list[Row]] = defaultdict(list)
    for event in e.events:
        events[event["job_id"]].append(event)
    for job in e.jobs:
        yield job, events[job["id"]]


def _broken_rule(before: str, after: str) -> str:
    if before == after == "started":
        return "I2"
    return "I4" if before in ENDS and after in ENDS else "I6"
