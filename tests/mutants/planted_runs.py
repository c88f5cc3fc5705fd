"""Bugs in what runs jobs: worker, execution, leases, context, hub, service."""

from mutant import Mutant, unit

RUNS: list[Mutant] = []
