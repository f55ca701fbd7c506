"""The short form of the crash campaign: real kills of real processes. The long form is `make crash-long`."""

import pytest

from tests.crash.__main__ import MUST_BE_ZERO
from tests.crash.campaign import campaigns
from tests.crash.data import BATCH, LANES
from tests.crash.deadly import Sent
from tests.crash.judging import End, Outcome, judge_repeats


@pytest.mark.crash
def test_killed_and_started_again_until_done(tmp_path):
    for faults, outcome in campaigns(tmp_path, kills=15, seed=11, rows=600):
        facts = vars(outcome)
        assert outcome.kills >= 3
        assert {name: facts[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0), faults
        assert outcome.worst_kill <= LANES * BATCH, "a kill repeats at most what was in flight"
        assert outcome.faults or faults == "no faults", "a fault that never struck proves nothing"


def sent(name, *, answered=1.0, people=("ada",)):
    return Sent([name], set(people), answered)


@pytest.mark.parametrize(
    ("log", "repeated", "unexcused"),
    [
        ([sent("a"), sent("a")], 1, 0),  # the answer may not have been read
        ([sent("a", answered=None), sent("a")], 0, 0),
        ([sent("a"), sent("b"), sent("a")], 1, 1),  # more of her followed, which waits for the answer
        ([sent("a"), sent("b", people=["bob"]), sent("a")], 1, 0),
        ([sent("a"), *(sent(str(n), people=["bob"]) for n in range(9)), sent("a")], 1, 1),  # long before the kill
    ],
)
def test_what_excuses_a_repetition(log, repeated, unexcused):
    outcome = Outcome()
    judge_repeats(outcome, log, [End(len(log) - 1, 2.0), End(len(log), 3.0)])
    assert (outcome.repeated, outcome.unexcused, outcome.worst_kill) == (repeated, unexcused, repeated)
