"""Death at durable calls, in the short form: some calls of every story. The long form is `make crash-long`."""

import pytest

from tests.crash.data import BATCH, LANES
from tests.crash.durable import play
from tests.crash.hatchery import Hatchery
from tests.crash.stories import stories


@pytest.fixture(scope="module")
def hatchery():
    with Hatchery() as hatchery:
        yield hatchery


@pytest.mark.crash
@pytest.mark.parametrize("story", stories(), ids=lambda story: story.name)
def test_dead_at_durable_calls(story, hatchery, tmp_path):
    deaths = play(story, tmp_path, hatchery, step=13)
    assert deaths.kills >= 3 and deaths.calls > 10
    assert deaths.wrong == []
    assert deaths.worst_kill <= LANES * BATCH
