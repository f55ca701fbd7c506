"""`engine try`: each field with its line, value and type; the request; errors with a caret; the watch."""

import json

import pytest

from engine.commands.attempt import watch
from engine.errors import InvalidPipeline

SHOP = """\
version: 1
name: shop
sources: {customers: {type: file, path: customers.csv, key: id}}
lookups:
  flags: {type: flagship.decide, env_id: env, api_key: "${FS_API_KEY}", with: {visitor_id: "{{ record.id }}"}}
sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}, out: {type: stdout}}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    when: "{{ record.email }}"
    let:
      age: "{{ record.age | int }}"
    fields:
      email: "{{ record.email | lower }}"
      dataFields:
        age: "{{ age }}"
        ltv: >-
          {{ record.ltv
          | float }}
        button: "{{ flags.values.button | default(omit) }}"
        lines: {$each: "{{ record.lines }}", $value: {sku: "{{ item.sku }}", qty: "{{ item.qty | int }}"}}
        vip: true
  visits:
    from: customers
    to: out
    each: "{{ record.lines }}"
    fields: {sku: "{{ item.sku }}", n: "{{ item.qty | int }}"}
"""
ADA = {"id": "7", "email": "ADA@x.org", "age": "36", "ltv": "79.50", "lines": [{"sku": "a", "qty": "2"}]}
RED = '{"flags": {"values": {"button": "red"}}}'


@pytest.fixture
def attempt(shell):
    shell.write("shop.yaml", SHOP)

    def run(record=ADA, *options):
        return shell("try", "shop.yaml", "--record", json.dumps(record), *options)

    return run


def test_every_field_with_its_line_value_and_type(attempt):
    done = attempt(ADA, "--mapping", "profiles", "--lookups", RED)
    assert done.code == 0
    assert done.err == ""
    head, _, request = done.out.partition("POST https://api.iterable.com/api/users/bulkUpdate\n")
    assert head.splitlines() == [
        "profiles → crm.update_user",
        '   15  email: "ada@x.org"  string',
        "   17  dataFields.age: 36  integer",
        "   18  dataFields.ltv: 79.5  number",
        '   21  dataFields.button: "red"  string',
        '   22  dataFields.lines: [{"sku":"a","qty":2}]  array',
        "   23  dataFields.vip: true  boolean",
    ]
    data = {"age": 36, "ltv": 79.5, "button": "red", "lines": [{"sku": "a", "qty": 2}], "vip": True}
    assert json.loads(request) == {"users": [{"email": "ada@x.org", "dataFields": data}]}


def test_one_failure_hides_no_other_field(attempt):
    done = attempt(
        {**ADA, "ltv": "n/a", "lines": [{"sku": "a", "qty": "x"}]}, "--mapping", "profiles", "--lookups", RED
    )
    assert done.code == 1
    assert '   15  email: "ada@x.org"  string' in done.out
    assert "   18  dataFields.ltv: fails" in done.out
    assert "   22  dataFields.lines.qty: fails" in done.out
    assert 'shop.yaml:20:13: error[bad-value]: dataFields.ltv: float: "n/a" is not a number' in done.err
    assert 'shop.yaml:22:98: error[bad-value]: dataFields.lines.qty: int: "x" is not' in done.err
    assert "   22 |         lines: {$each" in done.err
    assert "POST" not in done.out


def test_what_fails_before_any_field(attempt):
    done = attempt({**ADA, "age": "x"}, "--mapping", "profiles")
    assert done.code == 1
    assert "shop.yaml:13:29: error[bad-value]: let.age: " in done.err


def test_the_caret_stands_under_what_failed_within_the_expression(attempt, shell):
    shell.write(
        "shop.yaml", SHOP.replace('email: "{{ record.email | lower }}"', 'email: "{{ record.emial | lower }}"')
    )
    done = attempt(ADA, "--mapping", "profiles", "--lookups", RED)
    lines = done.err.splitlines()
    assert lines[0].startswith('shop.yaml:15:25: error[missing-field]: email: record has no field "emial"')
    assert lines[2].removeprefix("      | ") == " " * 24 + "^^^^^"
    assert lines[1].removeprefix("   15 | ")[24:29] == "emial"


def test_elements_of_each_and_all_mappings_of_the_source(attempt):
    two = [{"sku": "a", "qty": "2"}, {"sku": "b", "qty": "3"}]
    done = attempt({**ADA, "email": "", "lines": two}, "--lookups", RED)
    assert done.code == 0
    assert "profiles → crm.update_user: left out by `when` or `skip`" in done.out
    assert '   28  sku [1]: "b"  string\n   28  n [0]: 2  integer\n   28  n [1]: 3  integer\n' in done.out


def test_a_payload_that_the_vendor_refuses(attempt):
    done = attempt({**ADA, "email": "ada"}, "--mapping", "profiles", "--lookups", RED)
    assert done.code == 1
    assert "`engine explain invalid-identifier`" in done.err


def test_what_cannot_be_tried(attempt, shell):
    for options, said in (
        (("--record", "[1]"), "one JSON object"),
        (("--record", "{"), "is not JSON"),
        (("--record", "@none.json"), "none.json cannot be read"),
        (("--record", "{}", "--mapping", "x"), "there is no mapping x; there are: profiles, visits"),
        (("--record", "{}", "--lookups", '{"flag": 1}'), "there is no lookup flag; there are: flags"),
    ):
        with pytest.raises(InvalidPipeline, match=said):
            shell("try", "shop.yaml", *options)
    shell.write("shop.yaml", SHOP.replace("| lower", "| lowr"))
    assert attempt().code == 2


def test_a_record_from_a_file(shell):
    shell.write("shop.yaml", SHOP)
    shell.write("ada.json", json.dumps(ADA))
    assert shell("try", "shop.yaml", "--record", "@ada.json", "--mapping", "visits").code == 0


def test_the_watch_acts_again_when_the_content_changed(tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text("one")
    acted, slept = [], []
    changes = iter([None, "two", "two", None, "three"])

    def sleep(seconds):
        slept.append(seconds)
        text = next(changes)
        if text is None:
            file.unlink()  # as editors do, for a moment
        else:
            file.write_text(text)

    def act():
        acted.append(file.read_text())
        if len(acted) == 2:
            raise InvalidPipeline("there is no mapping x")
        return 0

    assert watch(file, act, sleep, lambda: len(slept) < 5) == 0
    assert acted == ["one", "two", "three"]


def test_no_secret_is_shown_and_vendors_behind_another_address_are_pretended(shell):
    shell.write("secret.yaml", """\
version: 1
name: shop
sources: {customers: {type: file, path: customers.csv, key: id}}
sinks: {crm: {type: iterable, api_key: hush-hush-hush, base_url: "http://127.0.0.1:9/api"}}
mappings:
  profiles: {from: customers, to: crm.update_user, fields: {userId: "{{ record.id }}", dataFields: {note: hush-hush-hush}}}
""")  # fmt: skip
    done = shell("try", "secret.yaml", "--record", '{"id": "7"}')
    assert done.code == 0, done.err
    assert 'dataFields.note: "•••"' in done.out and '"note": "•••"' in done.out
    assert "hush" not in done.out and "hush" not in done.err
