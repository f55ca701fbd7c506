"""`engine dead list` shows what the last run refused; what a later run went over again is history."""

import json

SHOP = """
version: 1
name: shop
sources: {people: {type: file, path: people.csv, key: id}}
sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}}
mappings: {all: {from: people, to: crm.update_user, fields: {email: "{{ record.email }}", userId: "{{ record.id }}"}}}
"""
BAD, GOOD = "id,email\n1,ada@example.org\n2,no address\n", "id,email\n1,ada@example.org\n2,grace@example.org\n"


def test_a_mended_row_is_no_dead_letter_of_the_next_run(shell):
    shell.write("shop.yaml", SHOP)
    shell.write("people.csv", BAD)
    assert shell("run", "shop.yaml", "--sandbox", "--no-progress").code == 1
    assert "no address" in shell("dead", "list", "shop.yaml").out
    assert shell("dead", "replay", "shop.yaml", "--sandbox").code == 1
    assert "no address" in shell("dead", "list", "shop.yaml").out  # the replay could not mend it
    shell.write("people.csv", GOOD)
    assert shell("run", "shop.yaml", "--sandbox", "--no-progress").code == 0
    assert shell("dead", "list", "shop.yaml").out == "no dead letters; 1 of earlier runs: --all\n"
    assert "no address" in shell("dead", "list", "shop.yaml", "--all").out


def test_those_before_a_run_that_is_cut_off_are_history_too(shell):
    shell.write("shop.yaml", SHOP)
    shell.write("people.csv", BAD)
    shell("run", "shop.yaml", "--sandbox", "--no-progress")
    down = '[{"every": 1, "status": 503, "path": "/api/users/bulkUpdate"}]'
    shell.write("shop.yaml", SHOP.replace('KEY}"}', 'KEY}", retry: {max_attempts: 1}}'))
    assert shell("run", "shop.yaml", "--sandbox", "--no-progress", "--fault", down).code == 3
    assert shell("dead", "list", "shop.yaml").out == "no dead letters; 1 of earlier runs: --all\n"


def test_letters_are_grouped_by_code_and_field(shell):
    shell.write(
        "shop.yaml",
        SHOP.replace("userId:", 'dataFields: {a: "{{ record.a | int }}", b: "{{ record.b | int }}"}, userId:'),
    )
    rows = ["1,x@example.org,n,1", "2,x@example.org,m,1", "3,x@example.org,1,k", "4,nobody,1,1"]
    shell.write("people.csv", "\n".join(["id,email,a,b", *rows, ""]))
    assert shell("run", "shop.yaml", "--sandbox", "--no-progress").code == 1
    groups = [json.loads(line) for line in shell("dead", "list", "shop.yaml", "--json").out.splitlines()]
    assert [(one["code"], one["field"], one["count"], one["example"]["origin"]["line"]) for one in groups] == [
        ("bad-value", "dataFields.a", 2, 2), ("bad-value", "dataFields.b", 1, 4), ("invalid-identifier", None, 1, 5),
    ]  # fmt: skip
    lines = shell("dead", "list", "shop.yaml").out.splitlines()
    assert len(lines) == 4 and "dataFields.a" in lines[0] and "dataFields.b" in lines[1]
