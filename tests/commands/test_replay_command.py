"""`engine dead replay` as a person calls it."""

import json

SHOP = """\
version: 1
name: shop
sources: {customers: {type: file, path: customers.csv, key: id}}
sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields: {email: "{{ record.email }}", userId: "{{ record.id }}", dataFields: {age: "{{ record.age | int }}"}}
"""


def test_mend_and_replay(shell):
    shell.write("shop.yaml", SHOP)
    shell.write("customers.csv", "id,email,age\n1,a@x.org,36\n2,b@x.org,n/a\n3,c@x.org,?\n")
    assert shell("run", "shop.yaml", "--sandbox", "--no-progress").code == 1
    shell.write("shop.yaml", SHOP.replace("| int", "| int(none)"))
    dry = shell("dead", "replay", "shop.yaml", "--dry-run")
    assert dry.code == 0
    sent = [user for line in dry.out.splitlines() for user in json.loads(line)["body"]["users"]]
    assert sorted(user["userId"] for user in sent) == ["2", "3"]
    assert "2 dead letters would be sent again as above; nothing was sent" in dry.err
    assert "0123456789abcdef" not in dry.out + dry.err
    done = shell("dead", "replay", "shop.yaml", "--sandbox")
    assert done.code == 0
    assert done.err.splitlines() == [
        "shop: replaying may overwrite what the vendors were sent since; --dry-run shows it first",
        "shop: 2 dead letters replayed: 2 settled, 0 refused again",
    ]
    again = shell("dead", "replay", "shop.yaml", "--sandbox", "--json")
    assert again.code == 0
    assert json.loads(again.out) == {
        "pipeline": "shop", "letters": 0, "delivered": 0, "refused": 0, "left": {"replayed before": 2}, "run": None,
    }  # fmt: skip
    assert again.err.endswith("shop: 2 dead letters left: replayed before\nshop: nothing to replay\n")


def test_a_replay_that_fails_again_ends_with_1(shell):
    shell.write("shop.yaml", SHOP)
    shell.write("customers.csv", "id,email,age\n1,a@x.org,x\n")
    shell("run", "shop.yaml", "--sandbox", "--no-progress")
    done = shell("dead", "replay", "shop.yaml", "--sandbox")
    assert done.code == 1
    assert "1 dead letter replayed: 0 settled, 1 refused again" in done.err


def test_what_a_replay_mended_is_listed_no_more(shell):
    shell.write("shop.yaml", SHOP)
    shell.write("customers.csv", "id,email,age\n1,a@x.org,x\n2,nobody,7\n3,c@x.org,y\n")
    shell("run", "shop.yaml", "--sandbox", "--no-progress")
    assert "3  in all" in shell("dead", "list", "shop.yaml").out
    shell.write("shop.yaml", SHOP.replace("| int", "| int(none)"))
    assert shell("dead", "replay", "shop.yaml", "--sandbox").code == 1
    listed = shell("dead", "list", "shop.yaml").out
    assert "invalid-identifier" in listed
    assert "1  in all" in listed
