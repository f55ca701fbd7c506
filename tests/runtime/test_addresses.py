"""Keys and data go over https, to this machine, or where the file says that clear text is meant."""

import pytest

from engine.runners.local import PlanFailed
from engine.runtime.addresses import address_problems
from tests.runtime.runs import USERS, World, customers


def pipeline(address, more=""):
    return USERS.replace('"${ITERABLE_API_KEY}"', f'"${{ITERABLE_API_KEY}}", base_url: "{address}"{more}')


@pytest.mark.parametrize(
    "address",
    [
        "http://proxy.example.com/api",
        "http://127.0.0.1.example.com/api",
        "http://10.0.0.1/api",
    ],
)
def test_clear_text_to_another_machine_is_refused_before_anything_is_sent(tmp_path, address):
    world = World(tmp_path)
    world.write("customers.csv", customers(3))
    with pytest.raises(PlanFailed, match="clear text"):
        world.run(pipeline(address))
    assert world.requests == []


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/api", "http://localhost:9/api", "https://api.eu.iterable.com/api"]
)
def test_this_machine_and_https_are_fine(tmp_path, address):
    world = World(tmp_path)
    world.write("customers.csv", customers(3))
    assert world.run(pipeline(address), dry=True).report["mappings"]["profiles"]["delivered"] == 3


def test_what_is_said_to_be_insecure_is_sent(tmp_path):
    world = World(tmp_path)
    world.write("customers.csv", customers(3))
    outcome = world.run(pipeline("http://proxy.example.com/api", ", insecure: true"), dry=True)
    assert outcome.report["mappings"]["profiles"]["delivered"] == 3


def test_a_login_in_an_address_is_refused(tmp_path):
    world = World(tmp_path)
    world.write("customers.csv", customers(3))
    with pytest.raises(PlanFailed, match="user name or password"):
        world.run(pipeline("https://ada:secret@proxy.example.com/api"))


FILES = """
version: 1
name: shop
sources: {{customers: {{type: file, path: "{source}", key: id}}}}
sinks: {{out: {{type: file, path: "{sink}", format: csv}}}}
mappings: {{all: {{from: customers, to: out, fields: {{id: "{{{{ record.id }}}}"}}}}}}
"""


@pytest.mark.parametrize(
    ("source", "sink", "told"),
    [
        ("customers.csv", "customers.csv", True),
        ("customers.csv", "./sub/../customers.csv", True),
        ("*.csv", "customers-2.csv", True),
        ("customers.csv", "out.csv", False),
        ("data/*.csv", "data/out/x.csv", False),
        ("customers.csv", "{{ record.id }}.csv", False),
        ("https://example.org/customers.csv", "customers.csv", False),
    ],
)
def test_a_sink_that_writes_its_own_source_is_told_of(tmp_path, source, sink, told):
    found = list(address_problems(World(tmp_path).pipeline(FILES.format(source=source, sink=sink))))
    assert [(problem.code, problem.path, problem.warning) for problem in found] == (
        [("same-file", ("sinks", "out", "path"), True)] if told else []
    )
