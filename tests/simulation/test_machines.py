"""The state machines find defects: each fails where the engine is broken on purpose."""

from unittest.mock import patch

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from engine.runners.replay import Journal
from tests.simulation.mutations import DEFECTS
from tests.simulation.profile import EXAMPLES
from tests.simulation.test_courier_machine import CourierMachine
from tests.simulation.test_ledger_machine import LedgerMachine
from tests.simulation.test_replay_machine import ReplayMachine

ONCE = settings(EXAMPLES, max_examples=400, phases=[Phase.generate], report_multiple_bugs=False)


def fails(machine) -> bool:
    try:
        run_state_machine_as_test(machine, settings=ONCE)
    except Exception:
        return True
    return False


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (LedgerMachine, "forget flags on resume"),
        (LedgerMachine, "forget elements on resume"),
        (LedgerMachine, "advance past open rows"),
        (LedgerMachine, "commit the head without the tracks"),
        (CourierMachine, "what is sent again goes to the end"),
        (CourierMachine, "one payload of two halves is lost"),
        (CourierMachine, "a lane does not wait for its answer"),
        (CourierMachine, "actions overtake each other"),
        (CourierMachine, "keys change lanes"),
    ],
)
def test_a_machine_finds_a_deliberate_defect(machine, name):
    with DEFECTS[name]():
        assert fails(machine)


def test_the_machine_of_replays_finds_a_journal_that_forgets():
    with patch.object(Journal, "is_done", lambda self, letter: False):
        assert fails(ReplayMachine)


def test_the_machine_of_replays_finds_one_that_is_not_gone_on_with():
    with patch.object(Journal, "begin", lambda self, letters: None):
        assert fails(ReplayMachine)
