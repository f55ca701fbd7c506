"""Disks that fill up and disks that fail: each kind of file once. The long form is `make reliability`."""

import pytest

from tests.crash.disk import TROUBLES, fail
from tests.crash.hatchery import Hatchery
from tests.crash.small import fill, small_disk


@pytest.fixture(scope="module")
def hatchery():
    with Hatchery() as hatchery:
        yield hatchery


@pytest.mark.crash
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: f"{one.call} {one.path}")
def test_a_disk_that_fails(trouble, error, hatchery, tmp_path):
    found = fail(trouble, error, tmp_path, hatchery, times=1)
    assert found.trials == 1 and found.wrong == []


@pytest.mark.crash
@pytest.mark.parametrize("room", [4, 100])
def test_a_real_disk_that_is_full(room, hatchery, tmp_path):
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("a small file system cannot be mounted here")
        code, _, wrong = fill(tmp_path / "disk", hatchery, room)
    assert code == 3 and wrong == []
