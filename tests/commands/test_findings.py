"""Every finding in one pass: what is wrong with a file's shape, and what is wrong within its expressions."""

from pathlib import Path

import pytest

from engine.commands.files import all_findings
from engine.mapping import compiler, tree
from tests.config.demo import REGISTRY, read
from tests.diagnostics.test_wrong import cases


def found(text):
    """Code, line and column of every finding."""
    return [(f.code, f.line, f.column) for f in all_findings(read(text), REGISTRY)]


@pytest.mark.parametrize(("text", "expected"), list(cases()))
def test_what_follows_from_a_finding_is_not_told(text, expected):
    """The corpus of wrong files: judging their expressions too adds nothing to what is said of them."""
    loaded = read(text)
    assert sorted(f.headline() for f in all_findings(loaded, REGISTRY)) == sorted(
        f.headline() for f in loaded.findings
    )


def test_mistakes_of_both_kinds_are_told_at_once():
    text = """\
nmae: x
lookups:
  flags: {type: demo.ask, token: "${TOKEN}", with: {who: "{{ record.id | uper }}"}}
mappings:
  first:
    from: poeple
    to: vendor.person
    fields:
      id: "{{ record.id | lowr }}"
      aeg: "{{ recrod.age }}"
  second:
    from: people
    to: vendr.person
    when: "{{ flags.open and vras.x }}"
    fields: {id: "{{ flgs.value }}"}
  third:
    from: people
    to: vendor.persn
    fields: {id: "{{ sum(record.a) }}"}
"""
    assert found(text) == [
        ("unknown-key", 1, 1), ("unknown-filter", 3, 74), ("unknown-source", 6, 11),
        ("unknown-filter", 9, 27), ("unknown-field", 10, 7), ("unknown-name", 10, 16),
        ("unknown-sink", 13, 9), ("unknown-name", 14, 30), ("unknown-name", 15, 22),
        ("unknown-action", 18, 16), ("unknown-function", 19, 22),
    ]  # fmt: skip


def test_columns_are_known_although_the_sink_is_not(tmp_path):
    (tmp_path / "people.csv").write_text("id,name\n1,Ada\n")
    text = """\
sinks: {out: {type: sdtout}}
mappings: {echo: {from: people, to: out, fields: {a: "{{ record.nam }}"}}}
"""
    loaded = read(text, path=tmp_path / "demo.yaml")
    assert [(f.code, f.line, f.column) for f in all_findings(loaded, REGISTRY)] == [
        ("unknown-type", 1, 21), ("unknown-column", 2, 65)]  # fmt: skip


def test_columns_are_known_although_a_setting_is_wrong_that_does_not_decide_them(tmp_path):
    (tmp_path / "people.csv").write_text("id,name\n1,Ada\n")
    mappings = 'mappings: {echo: {from: people, to: out, fields: {a: "{{ record.nam }}"}}}\n'
    for setting, codes in (
        ("format: cvs", ["bad-enum", "unknown-column"]), ("mode: ful", ["bad-enum", "unknown-column"]),
        ("max_line: huge, ragged: mend", ["bad-value", "bad-enum", "unknown-column"]),
        ('delimiter: ""', ["bad-value"]), ("delimeter: ;", ["unknown-key"]),
    ):  # fmt: skip
        text = f"sources: {{people: {{type: file, path: people.csv, {setting}}}}}\n{mappings}"
        loaded = read(text, path=tmp_path / "demo.yaml")
        assert [f.code for f in all_findings(loaded, REGISTRY)] == codes, setting


def test_a_lookup_that_is_wrong_still_has_its_name():
    text = """\
lookups: {flags: {type: demo.ask, tokn: x, with: {who: "{{ record.id }}"}}}
mappings: {echo: {from: people, to: out, fields: {a: "{{ flags.x }}", b: "{{ flag.x }}"}}}
"""
    assert [code for code, *_ in found(text)] == ["unknown-key", "unknown-name"]


def test_vars_of_a_wrong_shape_bring_no_false_alarms():
    text = 'vars: [a]\nmappings: {echo: {from: people, to: out, fields: {a: "{{ vars.a }}"}}}\n'
    assert [code for code, *_ in found(text)] == ["wrong-type"]


def test_an_unset_variable_is_told_once():
    text = 'mappings: {echo: {from: people, to: out, fields: {a: "{{ record.id }} ${NOT_THERE}", b: "{{ x }}"}}}\n'
    assert [code for code, *_ in found(text)] == ["unset-variable", "unknown-name"]


def test_no_file_at_all_is_one_finding(tmp_path):
    from engine.commands.files import checked

    _, findings = checked(Path(tmp_path / "no.yaml"), REGISTRY, [], None, sandbox=False, sending=False)
    assert [finding.code for finding in findings] == ["no-file"]


def test_a_when_that_says_nothing_of_a_record():
    text = """\
mappings:
  a: {from: people, to: out, when: record.email, fields: {a: 1}}
  b: {from: people, to: out, when: "{{ false }}", fields: {a: 1}}
  c: {from: people, to: out, when: true, fields: {a: 1}}
"""
    assert found(text) == [("always-true", 2, 36), ("unreachable", 3, 36)]


def many_fields(count):
    fields = "".join(f'        f{n}: "{{{{ record.c{n} | trim | lower | default(omit) }}}}"\n' for n in range(count))
    return (
        f"mappings:\n  m:\n    from: people\n    to: vendor.person\n    fields:\n      id: x\n      extra:\n{fields}"
    )


def test_each_of_many_expressions_is_read_once_and_none_is_made_ready_to_run(tmp_path, monkeypatch):
    """What `check` does grows with the fields alone; how long it takes, `python -m benchmarks` tells."""
    texts, made = [], []
    understood = tree.read
    monkeypatch.setattr(tree, "read", lambda text: texts.append(text) or understood(text))
    monkeypatch.setattr(compiler, "generate", lambda *_: made.append(1))
    (tmp_path / "people.csv").write_text("id," + ",".join(f"c{n}" for n in range(200)) + "\n")
    assert all_findings(read(many_fields(200), path=tmp_path / "demo.yaml"), REGISTRY) == []
    assert len(texts) == len(set(texts)) == 200
    assert made == []


def test_flaws_of_yaml_and_of_expressions_together():
    text = 'vars: {a: 1, a: 2}\nmappings: {echo: {from: people, to: out, fields: {a: "{{ record.x | lowr }}"}}}\n'
    assert [code for code, *_ in found(text)] == ["duplicate-key", "unknown-filter"]


@pytest.mark.parametrize("command", ["check", "run", "test"])
def test_every_command_tells_all_of_them_and_sends_nothing(shell, command):
    shell.write("people.csv", "id\n1\n")
    shell.write(
        "demo.yaml",
        """\
version: 1
name: demo
nmae: demo
sources: {people: {type: file, path: people.csv}}
sinks: {crm: {type: iterable, api_kye: "${ITERABLE_API_KEY}"}}
mappings: {m: {from: people, to: crm.update_user, fields: {userId: "{{ record.idd | lowr }}"}}}
""",
    )
    done = shell(command, "demo.yaml")
    assert done.code == 2
    for code in ("unknown-key", "missing-setting", "unknown-column", "unknown-filter"):
        assert f"error[{code}]" in done.err
    assert not (shell.folder / ".engine").exists()


ENVIRONMENTS = """\
version: 1
name: demo
environments:
  prod:
    sinks: {out: {type: stdout, concurency: 3}, more: {type: stdot}}
    mappings: {m: {when: "{{ recrod.a }}"}}
  test: {vars: {x: 2}, sinks: {out: {timeout: soon}}}
  here: {sources: {people: {path: "${NOT_SET_HERE}"}}}
sources: {people: {type: file, path: people.csv}}
sinks: {out: {type: stdout}}
mappings: {m: {from: people, to: out, fields: {x: "{{ record.a }}"}}}
"""


def test_environments_are_checked_although_nobody_names_them(shell):
    shell.write("demo.yaml", ENVIRONMENTS)
    done = shell("check", "demo.yaml")
    assert done.code == 2
    heads = [line for line in done.err.splitlines() if line.startswith("demo.yaml:")]
    assert [head.partition("error[")[2].partition("]")[0] for head in heads] == [
        "unknown-key", "unknown-type", "unknown-name", "bad-value"]  # fmt: skip
    assert [head.split(":")[1] for head in heads] == ["5", "5", "6", "7"]
    assert "(with --env prod)" in heads[0]
    assert "(with --env test)" in heads[3]
    assert shell("check", "demo.yaml", "--env", "test").err.count("error[") == 1


def test_what_is_wrong_in_every_environment_is_told_once(shell):
    shell.write("demo.yaml", ENVIRONMENTS.replace("record.a }}", "recrod.b }}"))
    done = shell("check", "demo.yaml")
    assert done.err.count("unknown-name") == 2
    assert "11:" in done.err
    assert done.err.count("demo.yaml:11:") == 1
