"""A job run: contenders in turn, outputs compared before any time is trusted, the median of each figure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.contenders import Contender, Job, Task
from benchmarks.measure import Cost, Failed, run, vendor
from benchmarks.same import difference


@dataclass
class Outcome:
    """What a job gave: `costs` by contender, and who was left out and why."""

    job: Job
    rows: int
    rounds: int
    costs: dict[str, Cost] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    when: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")


def of_job(job: Job, rows: int, rounds: int, only: Sequence[str] = ()) -> Outcome:
    """Runs it. A peer that fails or gives something else is left out and said so; ours failing ends everything."""
    outcome = Outcome(job, rows, rounds)
    source = job.data(rows)
    some = [one for one in job.contenders if not only or one.name in only]
    outcome.left_out = {one.name: why for one in some if (why := one.missing())}
    some = [one for one in some if one.name not in outcome.left_out]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        costs: dict[str, list[Cost]] = {}
        for one in _agreeing(job, some, source, rows, folder, outcome):
            costs[one.name] = []
        with _target(job, folder, None) as address:
            for number in range(rounds):
                for one in some:
                    if one.name in costs and not (one.slow and number):
                        costs[one.name].append(_once(one, job, source, rows, folder, address))
    outcome.costs = {
        name: Cost(*(median(getattr(c, what) for c in some) for what in ("cpu", "wall", "peak")))
        for name, some in costs.items()
    }
    return outcome


def alone(job: Job, one: Contender, rows: int) -> Cost:
    """One run of one contender, which gave the right output elsewhere."""
    with tempfile.TemporaryDirectory() as name, _target(job, Path(name), None) as address:
        return _once(one, job, job.data(rows), rows, Path(name), address)


def _agreeing(
    job: Job, some: Sequence[Contender], source: Path, rows: int, folder: Path, outcome: Outcome
) -> Iterator[Contender]:
    """Those whose output is the first one's, by content; its own run, since recording costs the vendor time."""
    reference: Path | None = None
    for one in some:
        said = folder / f"{one.name}.said"
        try:
            with _target(job, folder, said) as address:
                _once(one, job, source, rows, folder, address, said)
        except Failed as error:
            if one.ours:
                raise
            outcome.left_out[one.name] = error.last
            continue
        if one.follows and reference is None:
            reference = said
        elif one.follows:
            assert reference is not None
            found = difference(reference, said, one.adds)
            said.unlink()
            if found and one.ours:
                raise SystemExit(f"{job.name}: {one.name} gives something else: {found}")
            if found:
                outcome.left_out[one.name] = f"gives something else: {found}"
                continue
        yield one


@contextmanager
def _target(job: Job, folder: Path, record: Path | None) -> Iterator[str]:
    """The vendor's address for as long as it is needed, where the job has one."""
    if job.latency is None:
        yield ""
        return
    with vendor(job.latency, record=record, tls=folder if job.tls else None) as address:
        yield address


def _once(
    one: Contender, job: Job, source: Path, rows: int, folder: Path, address: str, kept: Path | None = None
) -> Cost:
    place = folder / "place"
    place.mkdir(exist_ok=True)
    output = place / "out.jsonl"
    task = Task(
        job.work or job.name,
        source,
        address or str(output),
        rows,
        job.in_flight,
        folder / "ca.pem" if job.tls else None,
    )
    command, environ = one.command(task)
    cost = run(command, place, environ, one.ends)
    if kept is not None and not address:
        output.replace(kept)
    for left in place.glob("out.jsonl*"):
        left.unlink()
    return cost
