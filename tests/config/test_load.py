"""From a file to a pipeline: values, overlays, connections, secrets, defaults."""

import os
from pathlib import Path

import pytest

from engine.config.load import load
from engine.config.pipeline import Batching, DeadLetters, Delivery, Errors, RateLimit, Retry
from engine.model import Secret
from tests.config.demo import ENVIRON, REGISTRY, good, read, whole

PRODUCT = """\
# yaml-language-server: $schema=../schemas/pipeline.json
version: 1
name: shop-nightly
vars: {min_ltv: 10}
sources:
  customers:
    type: file
    path: data/customers-*.csv.gz
    format: csv
    key: id
lookups:
  flags:
    type: demo.ask
    with: {who: "{{ record.id }}"}
sinks:
  crm: {type: iterable, api_key: "${TOKEN}", data_center: us}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    when: "{{ record.email }}"
    fields:
      email: "{{ record.email | lower }}"
      userId: "{{ record.id }}"
      dataFields:
        ltv: "{{ record.lifetime_value | float }}"
        button: "{{ flags.values.button | default(omit) }}"
  purchases:
    from: customers
    to: crm.track_purchase
    each: "{{ record.orders | default([]) }}"
    let: {sums: {$each: "{{ item.lines }}", $as: l, $value: "{{ l.price * l.qty }}"}}
    fields: {id: "{{ item.id }}", user: {email: "{{ record.email }}"}, items: "{{ item.lines }}", total: 1.5}
delivery: {concurrency: 4, order: per_key}
errors: {max_ratio: 1%, max_count: 1000, scope: mapping}
dead_letters: {path: .engine/dead/shop-nightly.jsonl}
tests:
  - name: e-mail is folded
    given: [{id: "7", email: ADA@X.ORG, lifetime_value: "79", country: FR}]
    lookups: {flags: {values: {}}}
    expect:
      profiles: [{email: ada@x.org, userId: "7", dataFields: {ltv: 79.0}}]
"""


def test_a_whole_pipeline():
    loaded = read(PRODUCT)
    assert loaded.findings == []
    pipeline = loaded.pipeline
    assert pipeline.name == "shop-nightly"
    assert pipeline.sources["customers"].settings == {"path": "data/customers-*.csv.gz", "format": "csv"}
    assert (pipeline.sources["customers"].key, pipeline.sources["customers"].mode) == ("id", "full")
    assert pipeline.sinks["crm"].settings == {"api_key": Secret("t0ken"), "data_center": "us"}
    assert pipeline.lookups["flags"].parameters == {"who": "{{ record.id }}"}
    profiles, purchases = pipeline.mappings.values()
    assert (profiles.source, profiles.sink, profiles.action) == ("customers", "crm", "update_user")
    assert (profiles.when, profiles.each) == ("{{ record.email }}", None)
    assert list(profiles.fields) == ["email", "userId", "dataFields"]
    assert purchases.each == "{{ record.orders | default([]) }}"
    assert purchases.let["sums"]["$as"] == "l"
    assert pipeline.errors == Errors(0.01, 1000, "mapping")
    assert pipeline.delivery == Delivery(4, "per_key")
    assert pipeline.dead_letters.path == Path("/home/pipelines/.engine/dead/shop-nightly.jsonl")
    assert pipeline.tests[0]["given"][0]["email"] == "ADA@X.ORG"
    assert loaded.secrets == ("t0ken",)


def test_defaults():
    pipeline = good()
    assert pipeline.state == Path("/home/pipelines/.engine")
    assert pipeline.dead_letters == DeadLetters(Path("/home/pipelines/.engine/dead/demo.jsonl"))
    sink = pipeline.sinks["out"]
    assert (sink.batch, sink.rate_limit, sink.retry, sink.account) == (Batching(), None, Retry(), "out")


def test_what_sinks_share():
    pipeline = good(
        "sinks:\n  out:\n    type: stdout\n    batch: {max_records: 5, max_bytes: 4MB, max_wait: 500ms}\n"
        "    rate_limit: {requests: 100, per: 1m, burst: 3}\n    concurrency: 2\n    order: none\n    timeout: 2m\n"
        "    retry: {max_attempts: 3, initial: 1s, max: 1m, multiplier: 3, give_up_after: 1h}\n"
    )
    sink = pipeline.sinks["out"]
    assert sink.batch == Batching(5, 4_000_000, 0.5)
    assert sink.rate_limit == RateLimit(100, 60.0, 3)
    assert (sink.concurrency, sink.order, sink.timeout) == (2, "none", 120.0)
    assert sink.retry == Retry(3, 1.0, 60.0, 3, 3600.0)
    assert sink.settings == {}


def test_paths_are_relative_to_the_file():
    pipeline = good(
        "state: {path: ../state}\ndead_letters: {path: /var/dead.jsonl, redact: [email], include: [record]}\n"
        'sinks: {out: {type: stdout}, v: {type: demo, token: "${TOKEN}", cache: a/../b}, '
        'w: {type: demo, token: "${TOKEN}", cache: "s3://bucket/key"}, '
        'x: {type: demo, token: "${TOKEN}", cache: "-"}}'
    )
    assert pipeline.state == Path("/home/state")
    assert pipeline.dead_letters == DeadLetters(Path("/var/dead.jsonl"), ("record",), ("email",))
    assert [pipeline.sinks[name].settings["cache"] for name in "vwx"] == ["/home/pipelines/b", "s3://bucket/key", "-"]


def test_a_tilde_is_refused():
    assert [finding.code for finding in read("state: {path: ~/state}").findings] == ["bad-value"]


def test_environments_overlay():
    text = (
        "vars: {a: 1, b: {c: 2, d: 3}, e: [1, 2]}\n"
        "environments:\n  prod:\n    vars: {b: {c: 9}, e: [3], f: new}\n    sinks: {out: {type: discard}}\n"
        "    delivery: {concurrency: 8}\n"
        'sinks: {out: {type: file, path: x.jsonl}, vendor: {type: demo, token: "${TOKEN}"}}\n'
    )
    assert good(text).vars == {"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2]}
    pipeline = good(text, env="prod")
    assert pipeline.vars == {"a": 1, "b": {"c": 9, "d": 3}, "e": [3], "f": "new"}
    assert (pipeline.sinks["out"].type, pipeline.sinks["out"].settings) == ("discard", {})
    assert pipeline.delivery.concurrency == 8


def test_a_mistake_in_an_environment_is_placed_there():
    text = "environments:\n  prod:\n    sinks: {vendor: {region: east}}\n"
    assert read(text).findings == []
    finding = read(text, env="prod").findings[0]
    assert (finding.code, finding.line, finding.column) == ("bad-enum", 3, 30)


def test_an_unknown_environment():
    finding = read("environments: {prod: {}, stage: {}}", env="prd").findings[0]
    assert (finding.code, finding.line, finding.hint) == ("unknown-environment", 1, 'did you mean "prod"?')
    assert read("", env="prod").findings[0].code == "unknown-environment"


def test_variables_of_other_environments_do_not_matter():
    text = "environments: {prod: {vars: {a: '${NOWHERE}'}}}\nvars: {a: 1}"
    assert read(text).findings == []
    assert [finding.code for finding in read(text, env="prod").findings] == ["unset-variable"]


@pytest.mark.parametrize(
    ("given", "value"), [("25", 25), ("1e2", 100.0), ("true", True), ("no", "no"), ("010", "010"), ("", None),
                         ("a: b", "a: b"),
                         ("9" * 5000, "9" * 5000), ("${WORD}", "${WORD}"), ("{{ x }}", "{{ x }}")],
)  # fmt: skip
def test_set_overrides_vars(given, value):
    assert good("vars: {min_ltv: 10, other: 1}", sets={"min_ltv": given}).vars == {"min_ltv": value, "other": 1}


def test_set_replaces_an_unset_variable():
    assert good("vars: {a: '${NOWHERE}'}", sets={"a": "x"}).vars == {"a": "x"}


def test_set_of_an_unknown_name():
    finding = read("vars: {min_ltv: 10}", sets={"min_lvt": "1"}).findings[0]
    assert (finding.code, finding.hint) == ("unknown-var", 'did you mean "min_ltv"?')
    assert read("", sets={"a": "1"}).findings[0].code == "unknown-var"


def test_connections_fill_parts():
    pipeline = good(
        'connections: {ab: {type: demo, token: "${TOKEN}", region: south, rate_limit: {requests: 5}}}\n'
        "lookups: {flags: {type: demo.ask, connection: ab, with: {who: x}}}\n"
        "sinks: {out: {type: stdout}, one: {type: demo, connection: ab, region: north}, "
        "two: {type: demo, connection: ab}}"
    )
    one, two = pipeline.sinks["one"], pipeline.sinks["two"]
    assert one.settings == {"token": Secret("t0ken"), "region": "north"}
    assert (one.account, two.account) == ("ab", "ab")
    assert two.settings["region"] == "south"
    assert two.rate_limit == RateLimit(5)
    assert pipeline.lookups["flags"].settings == {"token": Secret("t0ken"), "region": "south"}


def test_batches_as_large_as_the_vendor_takes():
    large, usual = (
        good(
            'sinks: {out: {type: stdout}, a: {type: demo, token: "${TOKEN}", batch: true}, '
            'b: {type: demo, token: "${TOKEN}", batch: false}}'
        ).sinks["a"],
        Batching(),
    )
    assert large.batch.max_records is not None and large.batch.max_records > 1_000_000
    assert (
        good('sinks: {out: {type: stdout}, b: {type: demo, token: "${TOKEN}", batch: false}}').sinks["b"].batch
        == usual
    )


def test_lookups_have_their_pace_cache_and_patience():
    plain, slow = good(
        "lookups:\n  plain: {type: demo.ask, with: {who: x}}\n"
        "  slow: {type: demo.ask, with: {who: x}, concurrency: 3, rate_limit: {requests: 5, per: 1m}, timeout: 2s,\n"
        "    retry: {give_up_after: 1m}, cache: {size: 5, ttl: 10m}, on_error: null}"
    ).lookups.values()
    assert (plain.account, plain.cache_size, plain.cache_ttl, plain.on_error) == ("plain", 10_000, None, "reject")
    assert (plain.concurrency, plain.rate_limit, plain.timeout, plain.retry) == (None, None, None, Retry())
    assert (slow.cache_size, slow.cache_ttl, slow.on_error, slow.timeout) == (5, 600.0, "null", 2.0)
    assert (slow.concurrency, slow.rate_limit, slow.retry) == (3, RateLimit(5, 60.0), Retry(give_up_after=60.0))
    assert good("lookups: {a: {type: demo.ask, with: {who: x}, on_error: halt}}").lookups["a"].on_error == "halt"


def test_a_connection_holds_a_vendors_own_mode():
    text = (
        'connections: {ab: {type: flagship, env_id: e, api_key: "${TOKEN}", mode: bucketing}}\n'
        "lookups: {flags: {type: flagship.decide, connection: ab, with: {visitor_id: x}}}\n"
        "sinks: {out: {type: stdout}, fs: {type: flagship, connection: ab}}"
    )
    pipeline = good(text)
    assert pipeline.lookups["flags"].settings["mode"] == pipeline.sinks["fs"].settings["mode"] == "bucketing"


def test_a_mistake_in_a_connection_says_where_it_is_used():
    text = (
        'connections:\n  ab: {type: demo, token: "${TOKEN}", level: 99}\n'
        "sinks: {out: {type: stdout}, one: {type: demo, connection: ab}}"
    )
    finding = read(text).findings[0]
    assert (finding.code, finding.line) == ("bad-value", 2)
    assert finding.related.line == 3


def test_the_target_may_leave_out_an_only_action():
    pipeline = good(
        "mappings: {m: {from: people, to: out, fields: {}}, n: {from: people, to: out.write, fields: {}}}"
    )
    assert [mapping.action for mapping in pipeline.mappings.values()] == ["write", "write"]


def test_a_pipeline_exists_exactly_without_errors():
    assert read("x: 1").pipeline is None
    loaded = read("sinks: {out: {type: stdout}, v: {type: demo, token: abc}}")
    assert [finding.severity for finding in loaded.findings] == ["warning"]
    assert loaded.pipeline is not None


# --- secrets -----------------------------------------------------------------------------------------------------


def in_folder(tmp_path, text, **more):
    path = tmp_path / "demo.yaml"
    path.write_text(whole(text), "utf-8")
    return load(path, REGISTRY, **{"environ": ENVIRON, **more})


FROM_FILE = "sinks: {out: {type: stdout}, v: {type: demo, token: {secret_file: keys/token}}}"


def test_a_secret_from_a_file(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "token").write_text("s3cret\n")
    loaded = in_folder(tmp_path, FROM_FILE)
    assert loaded.findings == []
    assert loaded.pipeline.sinks["v"].settings["token"] == Secret("s3cret")
    assert "s3cret" in loaded.secrets


def test_a_secret_file_stays_unopened_unless_something_is_sent(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "token").write_text("s3cret\n")
    for more in ({"sending": False}, {"sandbox": True}):
        loaded = in_folder(tmp_path, FROM_FILE, **more)
        assert loaded.findings == []
        assert "s3cret" not in loaded.secrets


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "large", "binary", "empty", "lines"])
def test_a_secret_file_that_cannot_be_used(tmp_path, kind):
    (tmp_path / "keys").mkdir()
    path = tmp_path / "keys" / "token"
    {
        "missing": lambda: None,
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "large": lambda: path.write_bytes(b"x" * 70_000),
        "binary": lambda: path.write_bytes(b"\xff\xfe"),
        "empty": lambda: path.write_bytes(b"\n"),
        "lines": lambda: path.write_bytes(b"one\ntwo\n"),
    }[kind]()
    loaded = in_folder(tmp_path, FROM_FILE)
    assert [finding.code for finding in loaded.findings] in (["unreadable-secret"], ["bad-secret"])
    assert loaded.pipeline is None
    assert "two" not in loaded.findings[0].render()


def test_a_missing_secret_file_only_warns_when_nothing_is_sent(tmp_path):
    loaded = in_folder(tmp_path, FROM_FILE, sending=False)
    assert [(finding.code, finding.severity) for finding in loaded.findings] == [("unreadable-secret", "warning")]
    assert loaded.pipeline is not None


def test_secrets_have_no_face():
    text = "sinks:\n  out: {type: stdout}\n  v: {type: demo, token: hunter2hunter2, region: east, tokn: hunter3}\n"
    loaded = read(text)
    shown = "".join(finding.render() + str(finding.to_json()) + repr(finding) for finding in loaded.findings)
    assert {finding.code for finding in loaded.findings} == {"literal-secret", "bad-enum", "unknown-key"}
    assert "hunter" not in shown
    assert "hunter" not in repr(loaded)
    assert loaded.secrets == ("hunter2hunter2",)


@pytest.mark.parametrize("value", ["k3y-\n", "k3y- \t\n"])
def test_a_line_break_at_the_end_of_a_secret_is_removed(value):
    loaded = read("", environ={"TOKEN": value})
    assert loaded.secrets == ("k3y-",)
    assert loaded.pipeline.sinks["vendor"].settings["token"] == Secret("k3y-")


@pytest.mark.parametrize("value", ["k3y\nline", "k3y\x00", "kéy😀", ""])
def test_a_secret_that_no_header_can_carry_is_refused(value):
    finding = read("", environ={"TOKEN": value}).findings[0]
    assert finding.code in ("bad-secret", "bad-value")
    assert "k3y" not in finding.render()


def test_secrets_in_broken_files_are_masked():
    text = "sinks:\n  crm: {type: iterable, api_key: sk-live-12345, x\n  y: *a\n"
    loaded = read(text)
    assert loaded.pipeline is None
    assert "sk-live" not in "".join(finding.render() for finding in loaded.findings)


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    path = tmp_path / "demo.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + whole("").replace("\n", "\r\n").encode())
    assert load(path, REGISTRY, environ=ENVIRON).findings == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"), (b"a: \xff", "not-utf-8"), ("a: 1".encode("utf-16"), "not-utf-8"),
        (b"a: \0", "bad-character"),
        (b"#" * ((1 << 20) + 1), "too-large"), (b"[" * 200_000, "too-large"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path, content, code):
    path = tmp_path / "demo.yaml"
    path.write_bytes(content)
    loaded = load(path, REGISTRY, environ=ENVIRON)
    assert [finding.code for finding in loaded.findings] == [code]
    assert loaded.pipeline is None


@pytest.mark.parametrize("name", ["missing.yaml", ".", "a\0b.yaml", "x" * 5000])
def test_files_that_are_none(tmp_path, name):
    loaded = load(tmp_path / name, REGISTRY, environ=ENVIRON)
    assert [finding.code for finding in loaded.findings] == ["no-file"]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert load(tmp_path / "pipe.yaml", REGISTRY, environ=ENVIRON).findings[0].code == "no-file"
