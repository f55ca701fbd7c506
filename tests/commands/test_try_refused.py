"""`engine try` where a payload is refused: the caret stands under the field that the reason names."""

import json

SHOP = """\
version: 1
name: shop
sources: {orders: {type: file, path: orders.jsonl}}
sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}}
mappings:
  orders:
    from: orders
    to: crm.track_purchase
    fields:
      user: {email: "{{ record.email }}"}
      items: "{{ record.lines }}"
      total: "{{ record.total }}"
"""
LINE = {"id": "1", "name": "n", "price": 1, "quantity": 1}


def attempt(shell, **record):
    shell.write("shop.yaml", SHOP)
    given = {"email": "ada@x.org", "lines": [LINE], "total": 7, **record}
    return shell("try", "shop.yaml", "--record", json.dumps(given))


def test_a_field_that_the_schema_refuses(shell):
    done = attempt(shell, total="7")
    assert done.code == 1
    first, line, caret = done.err.splitlines()
    assert first.startswith("shop.yaml:12:14: error[invalid-payload]: total: ")
    assert first.endswith("`engine explain invalid-payload`")
    assert line == '   12 |       total: "{{ record.total }}"'
    assert caret.index("^") == line.index('"')


def test_a_field_within_a_list_that_one_expression_gives(shell):
    done = attempt(shell, lines=[{**LINE, "price": "x"}])
    assert done.code == 1
    assert done.err.startswith("shop.yaml:11:14: error[invalid-payload]: items")


def test_a_refusal_that_names_no_field(shell):
    done = attempt(shell, email="ada")
    assert done.code == 1
    assert done.err.startswith("orders: invalid-identifier: ")
