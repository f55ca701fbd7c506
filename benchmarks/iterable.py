"""Iterable over loopback, beside `iterable-data-import` 0.1.0 in the same run."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.measure import ROOT, in_turn, run, vendor

PEER = ROOT / ".clients" / "iterable" / "bin" / "python"
LEFT_OUT = "peer left out: run `make clients`"
PEER_JOB = str(ROOT / "benchmarks" / "peers" / "iterable_data_import_job.py")
COLUMNS = "id,email,first_name,last_name,plan,ltv,orders,vip,city,signed_up"

HEAD = """
version: 1
name: bench
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  crm:
    type: iterable
    api_key: "${ITERABLE_API_KEY}"
    base_url: "${ITERABLE_URL}"
    rate_limit: {requests: 0}
    concurrency: CONCURRENCY
mappings:
"""
USERS = """
  profiles:
    from: customers
    to: crm.update_user
    fields:
      email: "{{ record.email | lower }}"
      userId: "{{ record.id }}"
      dataFields:
        firstName: "{{ record.first_name }}"
        lastName: "{{ record.last_name }}"
        plan: "{{ record.plan }}"
        ltv: "{{ record.ltv | float }}"
        orders: "{{ record.orders | int }}"
        vip: "{{ record.vip == 'true' }}"
        city: "{{ record.city }}"
        signupDate: "{{ record.signed_up }}"
"""
PURCHASES = """
  orders:
    from: customers
    to: crm.track_purchase
    fields:
      user: {email: "{{ record.email | lower }}", userId: "{{ record.id }}"}
      items: [{id: "{{ record.id }}", name: Thing, price: 1.5, quantity: 1}]
      total: 1.5
"""


def customers(path: Path, rows: int) -> None:
    """A deterministic CSV of customers."""
    chance = Random(5)
    with path.open("w", encoding="utf-8") as file:
        file.write(COLUMNS + "\n")
        for n in range(rows):
            file.write(
                f"c{n},User.{n}@Shop.example,Ada{n % 977},Lovelace{n % 613},{('free', 'plus', 'pro')[n % 3]},"
                f"{chance.randrange(10**6) / 100},{n % 40},{'true' if n % 4 else 'false'},City {n % 199},"
                f"2024-0{1 + n % 9}-17\n"
            )


def home(folder: Path, name: str, rows: int, mapping: str, concurrency: int) -> Path:
    place = folder / name
    place.mkdir()
    customers(place / "customers.csv", rows)
    (place / "bench.yaml").write_text(HEAD.replace("CONCURRENCY", str(concurrency)) + mapping)
    return place


ENGINE = [sys.executable, "-m", "engine", "run", "bench.yaml", "--no-progress", "--fresh"]


def users_in_bulk(folder: Path, rows: int, rounds: int) -> Iterator[str]:
    place = home(folder, "users", rows, USERS, 1)  # one request at a time, as the peer has
    with vendor(0.0) as url:
        env = {"ITERABLE_URL": url, "ITERABLE_API_KEY": "bench-key-0123"}
        ours = (ENGINE, place, env)
        if not PEER.exists():
            cost = in_turn(rounds, ours)[0]
            told = f"engine {rows / cost.cpu:,.0f} records per CPU second ({cost.peak:.0f} MB)"
            yield f"users, bulk, {rows:,} rows: {told}; {LEFT_OUT}"
            return
        mine, theirs = in_turn(rounds, ours, ([str(PEER), PEER_JOB, "users", "customers.csv"], place, env))
    yield (
        f"users, bulk, {rows:,} rows, records per CPU second: engine {rows / mine.cpu:,.0f} ({mine.peak:.0f} MB), "
        f"iterable-data-import {rows / theirs.cpu:,.0f} ({theirs.peak:.0f} MB): {theirs.cpu / mine.cpu:.1f} x"
    )


def purchases_at_latency(folder: Path, rows: int, few: int, latency: float) -> Iterator[str]:
    place, little = home(folder, "orders", rows, PURCHASES, 32), home(folder, "few", few, PURCHASES, 32)
    with vendor(latency) as url:
        env = {"ITERABLE_URL": url, "ITERABLE_API_KEY": "bench-key-0123"}
        mine = rows / run(ENGINE, place, env).wall
        if not PEER.exists():
            yield f"purchases at {latency * 1000:.0f} ms: engine {mine:,.0f} a second; {LEFT_OUT}"
            return
        theirs = few / run([str(PEER), PEER_JOB, "purchases", "customers.csv"], little, env).wall
    yield (
        f"purchases at {latency * 1000:.0f} ms, a second, start-up included: engine (32 in flight) {mine:,.0f}, "
        f"iterable-data-import {theirs:,.0f}: {mine / theirs:.0f} x"
    )


def memory(folder: Path, sizes: tuple[int, ...]) -> Iterator[str]:
    peaks = []
    with vendor(0.0) as url:
        for rows in sizes:
            place = home(folder, f"memory{rows}", rows, USERS, 4)
            cost = run(ENGINE, place, {"ITERABLE_URL": url, "ITERABLE_API_KEY": "bench-key-0123"})
            peaks.append(f"{rows:,} rows {cost.peak:.0f} MB ({cost.cpu:.1f} CPU s)")
            (place / "customers.csv").unlink()
    yield "peak memory of users in bulk: " + ", ".join(peaks)


def bench(*, short: bool) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        home_folder = Path(folder)
        yield from users_in_bulk(home_folder, 20_000 if short else 200_000, 1 if short else 3)
        yield from purchases_at_latency(home_folder, 500 if short else 4_000, 20 if short else 100, 0.05)
        yield from memory(home_folder, (10_000, 40_000) if short else (10_000, 200_000, 2_000_000))
