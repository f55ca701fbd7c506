"""The jobs, and who takes part in each."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks import data
from benchmarks.contenders import PEERS, Job, Task, engine, in_room, peer, program
from benchmarks.measure import ROOT
from engine.cli import group

OURS = engine(ENGINE_TRANSPORT="requests")
FAST = engine("ours, fast", missing=lambda: _no_pycurl(), ENGINE_TRANSPORT="curl")
TWO = engine("ours, 2 workers", None, "--workers", "2", missing=lambda: _no_workers())
FAILING = engine("ours, 1 % fails", data=data.people_with_bad, ends=(1,), follows=False)
FLOOR = peer("floor")
POLARS = peer("polars", POLARS_MAX_THREADS="1")
DUCKDB = peer("duckdb")


def _no_pycurl() -> str | None:
    return None if find_spec("pycurl") else "not installed: pip install 'engine[fast]'"


def _no_workers() -> str | None:
    names = {option for parameter in group.commands["run"].params for option in parameter.opts}
    return None if "--workers" in names else "engine run has no --workers"


BODY = PEERS / "purchase.json"


def _miller(task: Task) -> list[str]:
    kind = ["--icsv", "--ojsonl"] if task.job == "j1" else ["--ijsonl", "--ojsonl"]
    script = PEERS / f"miller_{task.job}.mlr"
    return [*kind, "--from", str(task.source), "--records-per-batch", "500", "put", "-q", "-f", str(script)]


JINJA = peer("jinja", slow=True)


def _h2load(task: Task) -> list[str]:
    address = f"{task.target}/commerce/trackPurchase"
    many = ["-n", str(task.rows), "-c", str(task.in_flight), "-d", str(BODY)]
    return ["--h1", *many, "-H", "content-type: application/json", address]


MILLER = program("miller", "mlr", _miller, slow=True)
H2LOAD = program("h2load (sends only)", "h2load", _h2load, follows=False)
LOOPS = tuple(
    peer(f"{client} loop", "http", client, room="http") for client in ("pycurl", "aiohttp", "urllib3", "requests")
)
DLT, SINGER, AIRBYTE, BEAM, DRT = (peer(name, slow=True) for name in ("dlt", "singer", "airbyte", "beam", "drt"))
IMPORTER = in_room("iterable-data-import", ROOT / ".clients" / "iterable", "iterable_data_import", how="make clients",
                   adds=("mergeNestedObjects", "preferUserId", "userId"))  # fmt: skip
MAPPING = engine("mapping alone", "mapping", follows=False)

JOBS = {
    job.name: job
    for job in (
        Job("j1", "CSV rows to nested JSON lines", data.people, (100_000, 500_000, 500),
            (OURS, TWO, FLOOR, DUCKDB, POLARS, MILLER)),
        Job("j1-start", "the same with few rows, start-up included", data.people, (50_000, 50_000, 500),
            (OURS, FLOOR, DUCKDB, POLARS, JINJA, DLT, BEAM, SINGER, AIRBYTE), work="j1"),
        Job("safety", "J1 where each hundredth row becomes a dead letter", data.people, (100_000, 500_000, 500),
            (OURS, FAILING), work="j1"),
        Job("j2", "nested JSON lines to JSON lines", data.orders, (50_000, 200_000, 500),
            (OURS, FLOOR, DUCKDB, POLARS, MILLER)),
        Job("j3", "J1's objects as bulk bodies of 1,000 to a vendor", data.people, (100_000, 200_000, 3_000),
            (OURS, FAST, FLOOR, MAPPING, DLT, IMPORTER, SINGER, DRT), latency=0.0, in_flight=4),
        Job("j3-far", "the same, 50 ms away, 16 in flight", data.people, (100_000, 200_000, 3_000),
            (OURS, FAST, MAPPING), work="j3", latency=0.05, in_flight=16),
        Job("j4", "one POST of 300 bytes a row, 64 in flight", data.people, (10_000, 20_000, 300),
            (OURS, FAST, FLOOR, H2LOAD, *LOOPS), latency=0.0, in_flight=64),
        Job("j4-far", "the same, 20 ms away", data.people, (10_000, 10_000, 300),
            (OURS, FAST, H2LOAD, *LOOPS), work="j4", latency=0.02, in_flight=64),
        Job("j4-tls", "J4 over TLS", data.people, (10_000, 20_000, 300),
            (OURS, FAST, *LOOPS), work="j4", latency=0.0, in_flight=64, tls=True),
    )
}  # fmt: skip
