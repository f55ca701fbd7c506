"""What two processes make of a run is what one makes of it: files byte for byte, vendors' records as sets in the order
of each key, counts and dead letters."""

import gzip
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import jsonschema
import msgspec
import pytest

from engine.commands.state import reset, show
from engine.errors import InvalidPipeline, Refused
from engine.runners.workers import Together
from engine.runtime.claims import owner
from engine.runtime.counts import total
from tests.runners.sharing import Shop, facts, people, told

FILES = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  out: {type: file, path: out.jsonl}
mappings:
  profiles:
    from: customers
    to: out
    when: "{{ record.age != '21' }}"
    fields: {id: "{{ record.id }}", name: "{{ record.name }}", age: "{{ record.age | int }}", line: "{{ meta.line }}",
             uid: "{{ record_id }}"}
"""

VENDOR = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}", batch: {max_records: 50}, rate_limit: {requests: 0}}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields: {email: "{{ record.email }}", dataFields: {n: "{{ record.id | int }}"}}
  visits:
    from: customers
    to: crm.track_event
    each: "{{ range }}"
    fields: {email: "{{ record.email }}", eventName: Visit, dataFields: {n: "{{ record.id | int }}", v: "{{ item }}"}}
  orders:
    from: customers
    to: crm.track_purchase
    when: "{{ record.age | int > 40 }}"
    fields:
      user: {email: "{{ record.email }}"}
      items: [{id: "1", name: Thing, price: 1.5, quantity: 1}]
      total: 1.5
      dataFields: {n: "{{ record.id | int }}"}
""".replace('"{{ range }}"', "\"{{ record.name | split(' ') }}\"")


def rows(count, end="\n", last=True):
    """Some with quoted line ends, some that fail in the mapping, some of too many cells."""
    lines = []
    for n in range(count):
        name = f'"Ada,{end}the ""{n}th"""' if n % 5 == 0 else f"Ada {n}"
        age = "old" if n % 97 == 3 else 20 + n % 60
        lines.append(f"{n},{name},u{n % 211}@shop.test,{age}" + (",surplus" if n % 101 == 7 else ""))
    return "id,name,email,age" + end + end.join(lines) + (end if last else "")


def both(tmp_path, text, files, workers=2, **options):
    """One run by one process and one by several, each in its folder."""
    shops = []
    for number in (1, workers):
        shop = Shop(tmp_path / f"by-{number}", text)
        for name, content in files.items():
            shop.write(name, content)
        shop.outcome = shop.run(number, **options)
        shops.append(shop)
    one, several = shops
    assert facts(several.outcome.report) == facts(one.outcome.report)
    assert several.outcome.exit == one.outcome.exit
    assert told(several.letters) == told(one.letters)
    assert several.outcome.report["workers"] == workers
    return one, several


def tracks_of(shop):
    import sqlite3

    with sqlite3.connect(shop.folder / ".engine" / "state.db") as db:
        found = db.execute("SELECT pipeline FROM tracks UNION SELECT pipeline FROM heads").fetchall()
    db.close()
    return [name for (name,) in found]


# --- ranges ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("shape", [{}, {"end": "\r\n"}, {"last": False}])
def test_ranges_of_a_file_give_the_same_file_and_the_same_letters(tmp_path, shape, workers):
    one, several = both(tmp_path, FILES, {"customers.csv": rows(12_000, **shape)}, workers)
    assert (several.folder / "out.jsonl").read_bytes() == (one.folder / "out.jsonl").read_bytes()
    assert sorted(p.name for p in several.folder.iterdir()) == [".engine", "customers.csv", "out.jsonl", "shop.yaml"]
    assert several.outcome.report["mappings"]["profiles"]["failed"] > 100
    assert several.outcome.report["sources"]["customers"]["malformed"] > 100
    assert not tracks_of(several)  # a finished run forgets
    assert "too small to share" not in repr(several.outcome.report["warnings"])


@pytest.mark.parametrize("text", ["", "id,name,email,age\n", "id,name,email,age\n1,Ada,a@b.c,30\n"])
def test_what_is_too_small_to_share_is_read_by_one(tmp_path, text):
    one, several = both(tmp_path, FILES, {"customers.csv": text})
    assert (several.folder / "out.jsonl").read_bytes() == (one.folder / "out.jsonl").read_bytes()
    assert any("too small to share" in warning for warning in several.outcome.report["warnings"])


def test_files_of_a_pattern_go_whole_or_cut_and_join_in_their_order(tmp_path):
    text = FILES.replace("customers.csv", "c-*").replace("type: file, path: c", "type: file, format: csv, path: c")
    files = {
        "c-1.csv": rows(300), "c-2.csv.gz": gzip.compress(rows(2_000).encode()), "c-3.csv": rows(9_000),
        "c-4.csv": "id,name,email,age\n",
    }  # fmt: skip
    one, several = both(tmp_path, text, files, 3)
    assert (several.folder / "out.jsonl").read_bytes() == (one.folder / "out.jsonl").read_bytes()


def test_sources_that_meet_in_one_file_keep_their_order_in_it(tmp_path):
    more = """
  again: {from: others, to: out, fields: {id: "{{ record.id }}", file: "{{ meta.file }}"}}
"""
    text = FILES.replace("sinks:", "  others: {type: file, path: others.jsonl}\nsinks:") + more
    others = "".join(json.dumps({"id": n, "text": "x" * 40}) + "\n" for n in range(9_000))
    one, several = both(tmp_path, text, {"customers.csv": rows(4_000), "others.jsonl": others})
    assert (several.folder / "out.jsonl").read_bytes() == (one.folder / "out.jsonl").read_bytes()


@pytest.mark.parametrize(
    "sink", ["{type: file, path: out.json}", "{type: file, path: out.csv.gz, columns: [line, id]}"]
)
def test_other_formats_are_joined_too(tmp_path, sink):
    text = FILES.replace("{type: file, path: out.jsonl}", sink)
    text = text.partition("    fields:")[0] + '    fields: {id: "{{ record.id }}", line: "{{ meta.line }}"}\n'
    one, several = both(tmp_path, text, {"customers.csv": rows(6_000)})
    name = "out.json" if "out.json" in sink else "out.csv.gz"
    assert (several.folder / name).read_bytes() == (one.folder / name).read_bytes()


# --- keys --------------------------------------------------------------------------------------------------------


def delivered(shop):
    """What the vendor was told of each person, in the order in which it came, by kind."""
    found = defaultdict(list)
    for request in shop.world.received:
        body = msgspec.json.decode(request.body)
        for user in body.get("users", ()):
            found["user", user["email"]].append(user["dataFields"]["n"])
        for event in body.get("events", ()):
            found["event", event["email"]].append((event["id"], event["dataFields"]["n"], event["dataFields"]["v"]))
        if "user" in body and "items" in body:
            found["order", body["user"]["email"]].append((body["id"], body["dataFields"]["n"]))
    return dict(found)


@pytest.mark.parametrize("workers", [2, 3])
def test_shares_by_key_deliver_the_same_to_each_person_in_the_same_order(tmp_path, workers):
    one, several = both(tmp_path, VENDOR, {"customers.csv": rows(1_500)}, workers)
    assert delivered(several) == delivered(one)
    assert len(delivered(one)) > 500
    assert several.outcome.report["sinks"]["crm"]["requests"] == len(several.requests)
    assert not tracks_of(several)


def test_every_worker_has_its_keys_and_no_key_has_two_workers(tmp_path):
    shop = Shop(tmp_path / "shop", VENDOR)
    shop.write("customers.csv", rows(1_500))
    shop.run(2)
    assert all(len({owner(person, 2) for person in people(request)}) == 1 for request in shop.requests)
    assert min(shop.senders().values()) > max(shop.senders().values()) / 3


def test_a_mapping_that_names_its_key_shares_by_it(tmp_path):
    text = VENDOR.replace("    from: customers\n", '    from: customers\n    let: {who: "{{ record.email | upper }}"}\n'
                          '    key: "{{ who }}"\n')  # fmt: skip
    one, several = both(tmp_path, text, {"customers.csv": rows(800)})
    assert delivered(several) == delivered(one)


def test_order_none_sends_ranges_to_a_vendor(tmp_path):
    text = VENDOR.replace("rate_limit: {requests: 0}", "order: none, rate_limit: {requests: 0}")
    one, several = both(tmp_path, text, {"customers.csv": rows(12_000)})
    sets = [{key: sorted(values, key=repr) for key, values in delivered(shop).items()} for shop in (one, several)]
    assert sets[0] == sets[1]


def test_a_file_sink_beside_a_vendor_has_the_same_lines_in_another_order(tmp_path):
    text = VENDOR.replace("mappings:\n", '  out: {type: file, path: out.jsonl}\nmappings:\n'
                          '  copies: {from: customers, to: out, fields: {id: "{{ record.id }}"}}\n')  # fmt: skip
    one, several = both(tmp_path, text, {"customers.csv": rows(500)})
    assert sorted(several.lines(), key=repr) == sorted(one.lines(), key=repr)


def test_an_address_that_is_mended_away_does_not_change_whose_the_record_is(tmp_path):
    body = "".join(json.dumps({"email": "" if n % 2 else None, "id": f"p{n % 50}"}) + "\n" for n in range(400))
    text = """
version: 1
name: shop
sources: {people: {type: file, path: people.jsonl}}
sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}", rate_limit: {requests: 0}, project_type: hybrid}}
mappings:
  profiles: {from: people, to: crm.update_user, fields: {email: "{{ record.email }}", userId: "{{ record.id }}"}}
"""
    _, several = both(tmp_path, text, {"people.jsonl": body})
    assert several.outcome.report["mappings"]["profiles"]["delivered"] == 400


def test_strict_order_and_lookups_hold_across_actions(tmp_path):
    text = """
version: 1
name: shop
connections: {ab: {type: flagship, env_id: blaabcdefghijklmnopq, api_key: "${ITERABLE_API_KEY}", mode: bucketing}}
sources: {orders: {type: file, path: orders.csv}}
lookups: {flags: {type: flagship.decide, connection: ab, with: {visitor_id: "{{ record.who }}", context: {}}}}
sinks: {fs: {type: flagship, connection: ab, batch: {max_records: 7}}}
mappings:
  bought:
    from: orders
    to: fs.transaction
    fields: {visitor_id: "{{ record.who }}", transaction_id: "{{ record.id }}", affiliation: shop, revenue: 1.5}
  items:
    from: orders
    to: fs.item
    fields:
      visitor_id: "{{ record.who }}"
      transaction_id: "{{ record.id }}"
      product_name: "Thing {{ flags.values | length }}"
      product_sku: sku
"""
    orders = "who,id\n" + "".join(f"v{n % 37},T{n}\n" for n in range(900))
    seen = []
    for shop in both(tmp_path, text, {"orders.csv": orders}):
        hits = defaultdict(list)
        for request in shop.world.received:
            body = msgspec.json.decode(request.body) if request.body else {}
            for hit in body.get("h", [body]):
                hits[hit.get("vid")].append((hit.get("t"), hit.get("tid")))
        hits.pop(None, None)
        assert sum(map(len, hits.values())) == 1_800
        for sent in hits.values():
            placed = {hit: at for at, hit in enumerate(sent)}
            assert all(placed[one] > placed["TRANSACTION", one[1]] for one in sent if one[0] == "ITEM")
        seen.append({who: [hit for hit in sent if hit[0] == "ITEM"] for who, sent in hits.items()})
    assert seen[0] == seen[1]


# --- the end -----------------------------------------------------------------------------------------------------


def test_a_run_that_is_done_starts_anew_with_any_number(tmp_path):
    shop = Shop(tmp_path / "shop", FILES)
    shop.write("customers.csv", rows(6_000))
    first = shop.run(2).report
    again = shop.run(1).report
    assert facts(first) == facts(again) and first["run_id"] != again["run_id"]


def test_too_many_errors_are_judged_over_all_workers(tmp_path):
    text = FILES + "errors: {max_count: 150}\n"
    shop = Shop(tmp_path / "shop", text)
    shop.write("customers.csv", rows(12_000))  # some 120 of each kind: neither worker has as many
    outcome = shop.run(2)
    assert outcome.exit == 3 and outcome.report["error"]["code"] == "too-many-errors"
    assert not (shop.folder / "out.jsonl").exists()
    outcome = shop.run(2, text=FILES)
    assert outcome.exit == 1 and outcome.report["resumed"]
    one = Shop(tmp_path / "one", FILES)
    one.write("customers.csv", rows(12_000))
    assert facts(one.run(1).report) == facts(outcome.report)
    assert (shop.folder / "out.jsonl").read_bytes() == (one.folder / "out.jsonl").read_bytes()
    assert told(shop.letters) == told(one.letters)


def test_a_halt_of_one_stops_the_others_and_the_next_start_ends_it(tmp_path):
    shop = Shop(tmp_path / "shop", VENDOR)
    shop.write("customers.csv", rows(1_500))
    shop.refuses = lambda: min(shop.senders()[0], shop.senders()[1]) > 4
    outcome = shop.run(2)
    shop.refuses = None
    assert outcome.exit == 3 and outcome.report["status"] == "halted"
    assert outcome.report["error"]["code"] == "http-401"
    with pytest.raises(Refused, match=r"--workers 2.*--fresh"):
        shop.run(3)
    with pytest.raises(Refused, match=r"--workers 2.*--fresh"):
        shop.run(1)
    end = shop.run(2)
    assert end.exit == 1 and end.report["resumed"] and end.report["run_id"] == outcome.report["run_id"]
    one = Shop(tmp_path / "one", VENDOR)
    one.write("customers.csv", rows(1_500))
    assert facts(one.run(1).report) == facts(end.report)
    assert told(shop.letters) == told(one.letters)


def test_errors_are_judged_over_all_workers_from_the_first_word_of_any(tmp_path, monkeypatch):
    """After a resume, the share of errors of one that has spoken alone may be too large, and that of all may not."""
    shop = Shop(tmp_path / "shop", VENDOR)
    shop.write("customers.csv", rows(1_500))
    shop.refuses = lambda: min(shop.senders()[0], shop.senders()[1]) > 4
    before = shop.run(2).report
    shop.refuses, known, follow = None, [], Together._follow

    def look(together, crew):
        known.append(total(worker.counts for worker in crew.workers))
        follow(together, crew)

    monkeypatch.setattr(Together, "_follow", look)
    assert shop.run(2).report["resumed"]
    counted = {name: (count.records, count.delivered) for name, count in known[0].mappings.items()}
    assert counted == {name: (c["records"], c["delivered"]) for name, c in before["mappings"].items()}
    assert sum(delivered for _, delivered in counted.values()) > 0


def test_a_run_of_one_is_not_taken_up_by_several(tmp_path):
    shop = Shop(tmp_path / "shop", VENDOR, faults=[{"nth": [3], "status": 401}])
    shop.write("customers.csv", rows(500))
    assert shop.run(1).exit == 3
    with pytest.raises(Refused, match=r"without --workers.*--fresh"):
        shop.run(2)
    assert shop.run(2, fresh=True).report["resumed"] is False


def test_a_file_that_changed_before_its_cut_is_refused(tmp_path):
    text = VENDOR.replace("rate_limit: {requests: 0}", "order: none, rate_limit: {requests: 0}")
    shop = Shop(tmp_path / "shop", text, faults=[{"nth": [2], "status": 401}])
    content = rows(12_000)
    shop.write("customers.csv", content)
    assert shop.run(2).exit == 3
    shop.write("customers.csv", content.replace("u20@", "x20@"))
    with pytest.raises(Refused, match="changed under the checkpoint"):
        shop.run(2)
    shop.write("customers.csv", content)
    assert shop.run(2).exit == 1


@pytest.mark.parametrize(
    "change",
    [
        ('email: "{{ record.email }}", dataFields', 'email: "{{ record.id }}@shop.test", dataFields'),
        ("to: crm.track_event", 'to: crm.track_event\n    key: "{{ record.id }}"'),
        ("path: customers.csv", "path: customers.csv, trim: true"),
    ],
)
def test_records_are_not_shared_out_by_other_keys_than_before(tmp_path, change):
    """By another key a record may be that of a worker which has passed it as another's: it would be nobody's."""
    shop = Shop(tmp_path / "shop", VENDOR, faults=[{"nth": [2], "status": 401}])
    shop.write("customers.csv", rows(500))
    assert shop.run(2).exit == 3
    with pytest.raises(Refused, match=r"order keys of customers changed.*--fresh"):
        shop.run(2, text=VENDOR.replace(*change))
    end = shop.run(2, text=VENDOR.replace("eventName: Visit", "eventName: Visited"))  # no key is made of it
    assert end.exit == 1 and end.report["resumed"]
    assert end.report["mappings"]["visits"]["records"] == end.report["mappings"]["profiles"]["records"]


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("path: customers.csv", 'path: "-", format: csv'), "standard input"),
        (("key: id}", "mode: append}"), "mode: append"),
        (("{type: file, path: out.jsonl}", "{type: stdout}"), "one stream"),
        (("path: out.jsonl", 'path: "{{ record.age }}.jsonl"'), "expressions decide"),
        (("path: out.jsonl", "path: out.csv"), "columns: name them"),
    ],
)
def test_what_cannot_be_shared_is_refused_with_a_reason(tmp_path, change, why):
    shop = Shop(tmp_path / "shop", FILES.replace(*change))
    shop.write("customers.csv", rows(10))
    with pytest.raises(InvalidPipeline, match=why):
        shop.run(2)
    assert not (shop.folder / ".engine" / "state.db").exists() or not tracks_of(shop)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("email: \"{{ record.email }}\", eventName", "email: \"{{ item }}\", eventName"), "mapping visits.*order key"),
        (("mappings:", "errors: {scope: record}\nmappings:"), "scope: record"),
        (("path: customers.csv", "path: http://127.0.0.1:9/customers.csv"), "not on this machine"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_known_beforehand_are_refused(tmp_path, change, why):
    shop = Shop(tmp_path / "shop", VENDOR.replace(*change))
    shop.write("customers.csv", rows(10))
    with pytest.raises(InvalidPipeline, match=why):
        shop.run(2)
    assert not shop.requests


def test_a_limit_is_one_processs(tmp_path):
    shop = Shop(tmp_path / "shop", FILES)
    shop.write("customers.csv", rows(10))
    with pytest.raises(InvalidPipeline, match="--limit"):
        shop.run(2, limit=3)


def test_uploads_of_one_file_are_refused(tmp_path):
    text = """
version: 1
name: shop
sources: {people: {type: file, path: people.jsonl, key: id}}
sinks: {lumi: {type: lumidatum, token: "${ITERABLE_API_KEY}", model_id: 1, via: file}}
mappings: {all: {from: people, to: lumi.users, fields: {id: "{{ record.id }}"}}}
"""
    shop = Shop(tmp_path / "shop", text)
    shop.write("people.jsonl", '{"id": 1}\n')
    with pytest.raises(InvalidPipeline, match="via: inline"):
        shop.run(2)


def test_readers_are_refused(tmp_path):
    text = """
version: 1
name: shop
sources: {report: {type: lumidatum_report, token: "${ITERABLE_API_KEY}", model_id: 1, report: ltv}}
sinks: {out: {type: discard}}
mappings: {all: {from: report, to: out, fields: {id: "{{ record.id }}"}}}
"""
    with pytest.raises(InvalidPipeline, match="fetched from a vendor"):
        Shop(tmp_path / "shop", text).run(2)


# --- where it stands ---------------------------------------------------------------------------------------------


def test_the_state_tells_where_each_worker_stands_and_a_reset_forgets_them_all(tmp_path, capsys):
    shop = Shop(tmp_path / "shop", VENDOR)
    shop.write("customers.csv", rows(1_500))
    shop.refuses = lambda: min(shop.senders()[0], shop.senders()[1]) > 4
    report = shop.run(2).report
    file = shop.folder / "shop.yaml"
    assert show(file, None, True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unfinished"]["workers"] == 2
    assert found["unfinished"]["mappings"] == report["mappings"]
    assert [track["worker"] for track in found["tracks"]] == [1, 2]
    assert show(file, None, False) == 0
    said = capsys.readouterr().out
    assert "with --workers 2" in said and "worker 2: customers: customers.csv:" in said
    assert reset(file, None, False) == 0
    assert not tracks_of(shop)


# --- the command -------------------------------------------------------------------------------------------------


def command(shop, *words, code):
    environ = {**os.environ, "ITERABLE_API_KEY": "test-key-0123456789"}
    run = [sys.executable, "-m", "engine", "run", "shop.yaml", "--no-progress", *words]
    done = subprocess.run(run, cwd=shop.folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_the_command_shares_a_run_and_its_pretend_vendors(tmp_path):
    shop = Shop(tmp_path / "shop", VENDOR)
    shop.pipeline()
    shop.write("customers.csv", rows(400))
    fault = ["--fault", '{"every": 3, "status": 503}']
    done = command(shop, "--sandbox", "--workers", "2", "--json", *fault, code=1)
    report = json.loads(done.stdout)
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "report.json").read_text())
    jsonschema.validate(report, schema)
    assert report["workers"] == 2 and report["sinks"]["crm"]["retries"] > 3
    one = json.loads(command(shop, "--sandbox", "--json", code=1).stdout)
    assert facts(one) == facts(report) and "workers" not in one


def test_the_command_says_why_a_run_cannot_be_shared(tmp_path):
    shop = Shop(tmp_path / "shop", FILES)
    shop.pipeline()
    shop.write("customers.csv", rows(10))
    done = command(shop, "--workers", "2", "--limit", "3", code=2)
    assert "--limit counts the rows of a source from its beginning" in done.stderr
    assert command(shop, "--workers", "0", code=2)


def test_a_dry_run_is_one_processs(tmp_path):
    shop = Shop(tmp_path / "shop", VENDOR)
    shop.pipeline()
    shop.write("customers.csv", rows(10))
    done = command(shop, "--workers", "2", "--dry-run", code=1)
    assert "a dry run is one process's" in done.stderr
    assert all(json.loads(line)["method"] == "POST" for line in done.stdout.splitlines()) and done.stdout
    assert not (shop.folder / ".engine" / "state.db").exists()
