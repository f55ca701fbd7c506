"""The table of `docs/python.md`: each line is run against the pretend Iterable and gives what stands there."""

import json
import re
from pathlib import Path

import pytest

import engine

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
ROW = re.compile(r"^\| (.+?) \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)
TABLE = ROW.findall(PAGE.partition("## Coming from")[2])
BLOCK = re.compile(r"^```\w+ (data\.csv|shop\.yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMES = [
    "IterableDataImport",
    "FileFormat",
    "SourceDataRecord",
    "FileSystem",
    "UserProfile",
    "CustomEvent",
    "CommerceItem",
    "Purchase",
    "ImportAction",
    "UpdateUserProfile",
    "TrackCustomEvent",
    "TrackPurchase",
    "SyncApiClient",
    "SyncApiImporter",
    "NoOpImporter",
    "FileSystemMapErrorRecorder",
    "NoOpMapErrorRecorder",
    "FileSystemApiErrorRecorder",
    "NoOpApiErrorRecorder",
    "UnsupportedImportActionError",
    "UnsupportedFileFormatError",
]


@pytest.fixture
def names(tmp_path, monkeypatch):
    for name, text in BLOCK.findall(PAGE):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ITERABLE_API_KEY", raising=False)
    return {
        "engine": engine, "json": json, "client": engine.Iterable("key", sandbox=True),
        "job": engine.load("shop.yaml"), "rows": [{"email": "a@x.org"}, {"email": "b@x.org"}],
        "lines": ['{"email": "a@x.org"}'], "item": {"id": "A", "name": "Alpha", "price": 0, "quantity": 1},
        "user": {"email": "a@x.org"}, "event": {"eventName": "Seen", "email": "a@x.org"},
    }  # fmt: skip


@pytest.mark.parametrize(("there", "here", "gives"), TABLE, ids=[row[0] for row in TABLE])
def test_a_line_of_the_table(names, there, here, gives):
    if "job.dead_letters" in here:
        names["job"].run(sandbox=True)
    if gives.endswith(("Error", "InvalidPipeline")):
        with pytest.raises(eval(gives, names)):
            eval(here, names)
        return
    found = eval(here, names)
    assert gives in (repr(found), type(found).__name__)


def test_every_name_of_the_package_is_in_the_table():
    said = {word for there, _, _ in TABLE for word in re.findall(r"\w+", there)}
    assert {name.removesuffix("s") for name in said} >= set(NAMES)
