"""What editors make of the composed schema: completion, hover, no squiggles where nothing is wrong."""

import json
from pathlib import Path

import pytest

from engine.config.editors import composed_schema
from engine.registry import Registry
from tests.clients.language_server import LanguageServer

ROOT = Path(__file__).parent.parent.parent
COMMAND = ROOT / ".clients" / "editors" / "node_modules" / ".bin" / "yaml-language-server"
EXAMPLES = sorted((ROOT / "pipelines").glob("*.yaml"))
pytestmark = [
    pytest.mark.editors,
    pytest.mark.skipif(not COMMAND.exists(), reason="no YAML language server: make editors installs it (npm)"),
]
HEAD = (
    "version: 1\nname: x\nsources: {a: {type: file, path: a.csv}}\nsinks: {crm: {type: iterable, api_key: '${K}'}}\n"
)


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editor")
    schema = folder / "pipeline.schema.json"
    schema.write_text(json.dumps(composed_schema(Registry.installed())))
    server = LanguageServer([str(COMMAND), "--stdio"], folder, schema)
    server.folder, server.count = folder, 0
    yield server
    server.close()


def fresh(editor):
    """A document's path that no test has had."""
    editor.count += 1
    return editor.folder / f"p{editor.count}.yaml"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_no_squiggles_on_the_examples(editor, example):
    text = example.read_text("utf-8")
    text = "\n".join(line for line in text.split("\n") if not line.startswith("# yaml-language-server:"))
    assert editor.open(fresh(editor), text) == []


def test_squiggles_on_mistakes(editor):
    text = (
        HEAD.replace("api_key", "api_kye")
        + "deliveri: {}\nmappings: {m: {from: a, to: crm.update_user, fields: {emial: x}}}\n"
    )
    said = [one["message"] for one in editor.open(fresh(editor), text)]
    for word in ("api_kye", "deliveri", "emial"):
        assert any(word in message for message in said), said


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("version: 1\n¦", {"name", "sources", "sinks", "mappings", "delivery", "tests", "lookups"}),
        ("sinks:\n  crm:\n    type: ¦", {"iterable", "flagship", "lumidatum", "file", "stdout", "discard"}),
        ("sources:\n  a:\n    type: ¦", {"file", "lumidatum_report"}),
        ("sinks:\n  crm:\n    type: iterable\n    ¦", {"api_key", "data_center", "batch", "rate_limit", "retry"}),
        ("sinks:\n  crm:\n    type: iterable\n    data_center: ¦", {"us", "eu"}),
        ("sources:\n  a:\n    type: file\n    ¦", {"path", "format", "key", "encoding"}),
        ("lookups:\n  f:\n    type: flagship.decide\n    ¦", {"with", "env_id", "cache", "on_error"}),
        ("mappings:\n  m:\n    ¦", {"from", "to", "when", "each", "let", "fields", "key"}),
        (HEAD + "mappings:\n  m:\n    to: crm.update_user\n    fields:\n      ¦", {"email", "userId", "dataFields"}),
        (HEAD + "mappings:\n  m:\n    to: crm.track_event\n    fields:\n      ¦", {"eventName", "createdAt"}),
        ("delivery:\n  order: ¦", {"per_key", "strict", "none"}),
        ("tests:\n  - name: x\n    ¦", {"given", "expect", "lookups", "vendor"}),
        ("tests:\n  - vendor:\n      - ¦", {"status", "body", "reset", "times"}),
    ],
)
def test_what_is_offered(editor, text, labels):
    assert labels <= set(editor.complete(fresh(editor), text))


def test_only_what_fits_the_type_is_offered(editor):
    offered = editor.complete(fresh(editor), "sinks:\n  out:\n    type: stdout\n    ¦")
    assert "data_center" not in offered
    assert "env_id" not in offered


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sinks:\n  crm:\n    type: iterable\n    data_cen¦ter: us\n", "where the project lives"),
        ("deliv¦ery: {order: none}\n", "How payloads go out"),
        ("mappings:\n  m:\n    whe¦n: x\n", "A record goes on only where this is true"),
        (
            HEAD + "mappings:\n  m:\n    to: crm.update_user\n    from: a\n    fields:\n      dataFi¦elds: {}\n",
            "ields",
        ),
    ],
)
def test_what_is_told(editor, text, said):
    assert said.lower() in editor.hover(fresh(editor), text).lower()
