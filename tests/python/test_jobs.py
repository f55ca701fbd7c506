"""A pipeline file from Python: its findings, its plan, its runs; errors of ours, nothing printed."""

import gc
import signal
import threading

import pytest

import engine
from engine.runtime.clock import FakeClock
from engine.runtime.state import State

KEY = "test-key-0123456789"
SHOP = """
version: 1
name: shop
vars: {min_age: 0}
environments:
  eu: {sinks: {crm: {data_center: eu}}}
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    when: "{{ record.age | int >= vars.min_age }}"
    fields:
      email: "{{ record.email }}"
      userId: "{{ record.id }}"
      dataFields: {age: "{{ record.age | int }}"}
"""
ROWS = "id,email,age\n1,ada@example.org,36\n2,grace@example.org,85\n3,zoe@example.org,old\n4,no address,50\n"


@pytest.fixture
def job(tmp_path):
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "customers.csv").write_text(ROWS)
    return engine.load(tmp_path / "shop.yaml", environ={"ITERABLE_API_KEY": KEY})


def test_a_clean_file_has_no_findings(job, capsys):
    assert job.check() == []
    assert capsys.readouterr() == ("", "")


def test_what_is_wrong_is_told_by_check_and_raised_by_all_else(job):
    job.path.write_text(SHOP.replace("email:", "emial:").replace("| int }}", "| itn }}"))
    findings = job.check()
    assert [(f.code, f.line) for f in findings if f.is_error] == [("unknown-field", 17), ("unknown-filter", 19)]
    for act in (job.plan, job.run, job.replay):
        with pytest.raises(engine.InvalidPipeline, match=r"shop.yaml:17.*and 1 more") as raised:
            act()
        assert [f.code for f in raised.value.findings] == ["unknown-field", "unknown-filter"]


def test_a_file_that_is_not_there(tmp_path):
    job = engine.load(tmp_path / "none.yaml")
    assert [f.code for f in job.check()] == ["no-file"]
    with pytest.raises(engine.InvalidPipeline, match="does not exist"):
        job.run()


def test_a_run_is_a_report_with_numbers_and_letters(job, capsys):
    clock = FakeClock()
    report = job.run(sandbox=True, clock=clock)
    assert (report.exit_code, report.status, report.ok) == (1, "partial", False)
    assert (
        report.delivered == 2
        and report.dead_letters == 2
        and report.error is None
        and report.raise_for_halt() is report
    )
    assert report.mappings["profiles"]["failed"] == 1 and report.data["pipeline"] == "shop"
    assert [letter["code"] for letter in report.letters()] == ["bad-value", "invalid-identifier"]
    assert [letter["record"]["id"] for letter in job.dead_letters()] == ["3", "4"]
    assert repr(report) == "<Report: partial, 2 delivered, 2 refused>"
    assert capsys.readouterr() == ("", "")


def test_values_of_set_keep_their_types(job, tmp_path):
    assert engine.load(job.path, environ=job.environ, set={"min_age": 80}).plan(sample=4).requests[0]["body"][
        "users"
    ] == [{"email": "grace@example.org", "userId": "2", "dataFields": {"age": 85}}]
    job.path.write_text(
        SHOP.replace('userId: "{{ record.id }}"', 'userId: "{{ vars.min_age }}"').replace(
            "{{ record.age | int >= vars.min_age }}", "{{ true }}"
        )
    )
    texts = ["123", "1e5", "None", "True", "0123"]
    for text in texts:
        plan = engine.load(job.path, environ=job.environ, set={"min_age": text}).plan(sample=1)
        assert plan.requests[0]["body"]["users"][0]["userId"] == text
    with pytest.raises(engine.InvalidPipeline, match="min_age is a list"):
        engine.load(job.path, set={"min_age": []}).check()
    assert [f.code for f in engine.load(job.path, set={"max_age": 1}, environ=job.environ).check()] == ["unknown-var"]


def test_a_plan_says_what_would_run_and_shows_requests_without_keys(job):
    plan = engine.load(job.path, env="eu", environ=job.environ).plan(sample=2)
    assert plan.sources == {
        "customers": {"type": "file", "mode": "full", "key": "id", "partitions": ["customers.csv"]}
    }
    assert (
        plan.sinks["crm"]["address"] == "https://api.eu.iterable.com/api" and plan.sinks["crm"]["order"] == "per_key"
    )
    assert plan.sinks["crm"]["actions"]["update_user"]["max_records"] == 1000
    assert plan.mappings["profiles"]["to"] == "crm" and plan.mappings["profiles"]["action"] == "update_user"
    assert {request["url"] for request in plan.requests} == {"https://api.eu.iterable.com/api/users/bulkUpdate"}
    assert sum(len(request["body"]["users"]) for request in plan.requests) == 2
    assert KEY not in repr(plan) and not plan.state.exists()


def test_a_plan_needs_no_key(job):
    assert engine.load(job.path, environ={}).plan().requests == []
    with pytest.raises(engine.InvalidPipeline, match="ITERABLE_API_KEY"):
        engine.load(job.path, environ={}).run()
    assert engine.load(job.path, environ={}).run(sandbox=True, clock=FakeClock()).delivered == 2


def test_a_halt_after_the_beginning_is_in_the_report(job):
    faults = [{"every": 1, "status": 503}]
    report = job.run(sandbox=True, faults=faults, clock=FakeClock())
    assert report.exit_code == 3 and report.status == "halted" and isinstance(report.error, engine.Halt)
    with pytest.raises(engine.Halt, match="503"):
        report.raise_for_halt()
    again = job.run(sandbox=True, clock=FakeClock())
    assert again.data["resumed"] and again.delivered == 2


def test_a_pipeline_that_another_run_holds_is_refused(job, tmp_path):
    state = State(tmp_path / ".engine", "shop")
    try:
        with state.lock({"run": "other", "since": "now"}), pytest.raises(engine.Refused, match="other"):
            job.run(sandbox=True, clock=FakeClock())
    finally:
        state.close()


def test_state_can_be_kept_elsewhere(job, tmp_path):
    engine.load(job.path, environ=job.environ, state=tmp_path / "there").run(sandbox=True, clock=FakeClock())
    assert (tmp_path / "there" / "state.db").exists() and not (tmp_path / ".engine" / "state.db").exists()


def test_letters_are_replayed_with_the_mapping_as_it_is(job):
    job.run(sandbox=True, clock=FakeClock())
    job.path.write_text(SHOP.replace("| int }}", "| int(0) }}").replace("| int >=", "| int(0) >="))
    report = job.replay(sandbox=True, clock=FakeClock())
    assert report is not None and report.delivered == 1 and report.dead_letters == 1
    assert [letter["record"]["id"] for letter in job.dead_letters()] == ["4"]


def test_nothing_to_replay(job):
    assert job.replay(sandbox=True) is None and list(job.dead_letters()) == []


def test_faults_are_for_the_sandbox(job):
    with pytest.raises(engine.InvalidPipeline, match="sandbox=True"):
        job.run(faults=[{"every": 1, "status": 503}])


def test_the_process_is_left_as_it_was(job):
    before = (
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        gc.get_threshold(),
        gc.get_freeze_count(),
    )
    job.run(sandbox=True, clock=FakeClock())
    assert before == (
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        gc.get_threshold(),
        gc.get_freeze_count(),
    )


def test_it_runs_in_any_thread(job):
    found = []
    thread = threading.Thread(target=lambda: found.append(job.run(sandbox=True, clock=FakeClock())))
    thread.start()
    thread.join()
    assert found[0].delivered == 2


def test_an_observer_is_told(job):
    class Heard:
        def __init__(self):
            self.texts = []

        def progress(self, progress): ...

        def say(self, text):
            self.texts.append(text)

    (job.path.parent / ".engine").mkdir()
    (job.path.parent / ".engine" / "state.db").write_bytes(b"this is no database" * 100)
    heard = Heard()
    job.run(sandbox=True, fresh=True, observer=heard, clock=FakeClock())
    assert "damaged" in heard.texts[0]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/api", "https://proxy.example.com/api"])
def test_the_sandbox_is_used_whatever_address_the_file_names(job, address):
    job.path.write_text(SHOP.replace('KEY}"}', f'KEY}}", base_url: "{address}"}}'))
    report = job.run(sandbox=True, clock=FakeClock())
    assert report.delivered == 2 and report.error is None
    assert job.plan(sample=1).requests[0]["url"] == f"{address}/users/bulkUpdate"
