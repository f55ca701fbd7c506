"""Ten texts that look like something else arrive as they are: from CSV, JSON Lines and JSON, through every sink."""

import csv
import io
import json

import pytest

from engine.cli import group
from engine.config.load import parse
from engine.model import Stream
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend

TEXTS = ["123", "1e5", "None", "True", "1_000", "0x10", "[1,2]", "1.10", "12 ", "0123"]
HEAD = """\
version: 1
name: exact
sources: {{rows: {{type: file, path: "rows.{suffix}", key: id}}}}
sinks:
  to: {sink}
mappings:
  all:
    from: rows
    to: {action}
    let: {{named: "{{{{ record.text }}}}"}}
    fields: {fields}
"""
V, N, T = '"{{ record.text }}"', '"{{ named }}"', '"<{{ record.text }}>"'
WHO = '"r{{ record.id }}@x.org"'
ITERABLE = '{type: iterable, api_key: "${KEY}"}'
FLAGSHIP = '{type: flagship, env_id: env, api_key: "${KEY}"}'
LUMIDATUM = '{type: lumidatum, token: "${KEY}", model_id: 9, via: inline}'
VENDORS = {
    "update_user": (ITERABLE, "to.update_user", f"{{email: {WHO}, dataFields: {{v: {V}, n: {N}, t: {T}, l: [{V}]}}}}"),
    "track_event": (ITERABLE, "to.track_event", f"{{email: {WHO}, eventName: E, dataFields: {{v: {V}, n: {N}, t: {T}}}}}"),
    "track_purchase": (ITERABLE, "to.track_purchase",
                       f"{{user: {{email: {WHO}}}, items: [{{id: {V}, name: {N}, price: 1, quantity: 1}}], total: 1, dataFields: {{t: {T}}}}}"),
    "flagship event": (FLAGSHIP, "to.event", f"{{visitor_id: {WHO}, category: ACTION_TRACKING, action: {V}, label: {T}}}"),
    "flagship context": (FLAGSHIP, "to.context", f"{{visitor_id: {WHO}, context: {{v: {V}, t: {T}}}}}"),
    "lumidatum": (LUMIDATUM, "to.users", f"{{customer_id: {WHO}, v: {V}, n: {N}, t: {T}}}"),
    "lumidatum file": (LUMIDATUM.replace("inline", "file"), "to.users", f"{{customer_id: {WHO}, v: {V}, n: {N}, t: {T}}}"),
}  # fmt: skip
SHOWN = {
    "iterable": "test_through_vendors",
    "flagship": "test_through_vendors",
    "lumidatum": "test_through_vendors",
    "file": "test_through_files",
    "stdout": "test_through_stdout",
    "discard": "",  # it keeps nothing that could be looked at: its count alone is, in test_through_nothing
}
"""Every sink of the registry, and the test that looks at what comes out of it."""


def sources():
    """The texts in each format, as exports write them."""
    table = io.StringIO()
    csv.writer(table).writerows([["id", "text"], *([str(at), text] for at, text in enumerate(TEXTS))])
    records = [{"id": str(at), "text": text} for at, text in enumerate(TEXTS)]
    return {
        "csv": table.getvalue(),
        "tsv": "id\ttext\n" + "".join(f"{at}\t{text}\n" for at, text in enumerate(TEXTS)),
        "jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "json": json.dumps(records),
    }


def strings(value):
    """Every text within a JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def values(body):
    """The JSON values of a body: lines, or one; of a form that carries a file, those of the file."""
    return [json.loads(line) for line in body.splitlines() if line.startswith((b"{", b"["))]


def ran(folder, suffix, sink, action, fields):
    """Runs the pipeline; gives what was sent."""
    (folder / f"rows.{suffix}").write_text(sources()[suffix], "utf-8")
    text = HEAD.format(suffix=suffix, sink=sink, action=action, fields=fields)
    path = folder / "exact.yaml"
    loaded = parse(text, str(path), Registry.builtin(), environ={"KEY": "0123456789abcdef"}, path=path)
    assert loaded.pipeline is not None, [finding.headline() for finding in loaded.findings]
    clock, bodies = FakeClock(), []
    world = pretend_world(clock, [])

    def ask(request):
        body = request.body
        bodies.append(b"".join(body.chunks()) if isinstance(body, Stream) else body)
        return world.handle(request)

    outcome = run_pipeline(
        loaded.pipeline, Registry.builtin(), Options(clock=clock, transport=lambda *_: Pretend(ask, clock))
    )
    assert outcome.exit == 0, (outcome.report, list(bodies))
    assert outcome.report["mappings"]["all"]["delivered"] == len(TEXTS)
    return bodies


def test_no_sink_is_left_out():
    """A sink that joins the registry joins the table, and every vendor's sink is among those that are run."""
    assert SHOWN.keys() == set(Registry.builtin().names("sinks"))
    assert all(not name or callable(globals()[name]) for name in SHOWN.values())
    run = {sink.partition("type: ")[2].partition(",")[0] for sink, _, _ in VENDORS.values()}
    assert run == {kind for kind, name in SHOWN.items() if name == "test_through_vendors"}


@pytest.mark.parametrize("suffix", list(sources()))
def test_through_nothing(tmp_path, suffix):
    ran(tmp_path, suffix, "{type: discard}", "to", PLAIN)  # which counts them


@pytest.mark.parametrize("suffix", list(sources()))
@pytest.mark.parametrize("vendor", list(VENDORS))
def test_through_vendors(tmp_path, suffix, vendor):
    sink, action, fields = VENDORS[vendor]
    sent = [text for body in ran(tmp_path, suffix, sink, action, fields) for text in strings(values(body))]
    wanted = fields.count(V) + fields.count(N)
    for text in TEXTS:
        assert sent.count(text) == wanted, text
        assert sent.count(f"<{text}>") == fields.count(T), text


PLAIN = f"{{v: {V}, n: {N}, t: {T}}}"


@pytest.mark.parametrize("suffix", list(sources()))
@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_through_files(tmp_path, suffix, form):
    ran(tmp_path, suffix, f"{{type: file, path: out.{form}}}", "to", PLAIN)
    text = (tmp_path / f"out.{form}").read_text("utf-8")
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    else:
        rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    assert rows == [{"v": one, "n": one, "t": f"<{one}>"} for one in TEXTS]


@pytest.mark.parametrize("suffix", list(sources()))
def test_through_stdout(tmp_path, capfdbinary, suffix):
    ran(tmp_path, suffix, "{type: stdout}", "to", PLAIN)
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert rows == [{"v": one, "n": one, "t": f"<{one}>"} for one in TEXTS]


@pytest.mark.parametrize("suffix", list(sources()))
def test_through_a_dry_run(tmp_path, capsys, monkeypatch, suffix):
    sink, action, fields = VENDORS["update_user"]
    (tmp_path / f"rows.{suffix}").write_text(sources()[suffix], "utf-8")
    (tmp_path / "exact.yaml").write_text(HEAD.format(suffix=suffix, sink=sink, action=action, fields=fields))
    monkeypatch.setenv("KEY", "0123456789abcdef")
    code = group.main(["run", str(tmp_path / "exact.yaml"), "--dry-run", "--no-progress"], standalone_mode=False)
    assert code == 0
    users = [user for line in capsys.readouterr().out.splitlines() for user in json.loads(line)["body"]["users"]]
    users.sort(key=lambda user: user["email"])
    assert [user["dataFields"]["v"] for user in users] == TEXTS


def test_as_keys_and_constants_of_the_file(tmp_path):
    """What the file itself says is as exact: quoted texts, plain words and keys."""
    names = ", ".join(f'"k{at}": "{text}"' for at, text in enumerate(TEXTS))
    ran(tmp_path, "csv", "{type: file, path: out.jsonl}", "to", f"{{{names}, yes: no, ten: 010, at: 12:30}}")
    row = json.loads((tmp_path / "out.jsonl").read_text("utf-8").splitlines()[0])
    assert row == {**{f"k{at}": text for at, text in enumerate(TEXTS)}, "yes": "no", "ten": "010", "at": "12:30"}
