"""The recorded cases of the older Python client: each as a call of ours, and what was on the wire then."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from engine.config.pipeline import Retry
from engine.model import Response
from engine.python.lumidatum import LumidatumClient, Recommendations, Sent
from tests.vendors.lumidatum.recorder import Recorder, multipart

GOLDEN = Path(__file__).parents[2] / "golden" / "lumidatum"
CASES = [json.loads(line) for line in (GOLDEN / "cases.jsonl").read_text("utf-8").splitlines()]
RECORDED = {
    case["id"]: case for case in map(json.loads, (GOLDEN / "transcript.py3.jsonl").read_text("utf-8").splitlines())
}
PATIENCE = Retry(max_attempts=3, initial=0.01, max=0.02, give_up_after=5.0)


def prepared(folder: Path, case: dict[str, Any]) -> None:
    """The files that the case names, in its working folder."""
    for path in (GOLDEN / "files").iterdir():
        shutil.copy(path, folder / path.name)
    for name, text in case.get("preexisting", {}).items():
        (folder / name).write_text(text)
    if "big.json" in json.dumps(case["kwargs"]):
        lines = (f'{{"id": {i}, "v": "{"x" * (i % 61)}"}}\n' for i in range(120_000))
        (folder / "big.json").write_text("".join(lines))


def value(said: Any, folder: Path) -> Any:
    """An argument as Python holds it."""
    if isinstance(said, list):
        return [value(one, folder) for one in said]
    if not isinstance(said, dict):
        return said
    if set(said) == {"$file"}:
        return str(folder / said["$file"])
    if set(said) == {"$bytes"}:
        return base64.b64decode(said["$bytes"])
    if set(said) == {"$float"}:
        return float(said["$float"])
    if set(said) == {"$iter"}:
        return iter([value(one, folder) for one in said["$iter"]])
    if set(said) == {"$native"}:
        return said["$native"]
    return {k: value(v, folder) for k, v in said.items()}


def call(case: dict[str, Any], recorder: Recorder, folder: Path, transport: Any, clock: Any) -> Any:
    """Makes the client and the call of a case; what it returns."""
    given = recorder.filled(case["client"])
    client = LumidatumClient(*given["args"], **given["kwargs"], retry=PATIENCE, transport=transport, clock=clock)
    method = getattr(client, case["call"])
    return method(*value(case["args"], folder), **value(case["kwargs"], folder))


# --- what was on the wire ---------------------------------------------------------------------------------------


def records(text: bytes) -> list[Any]:
    """The records of a body in either format."""
    if text.lstrip().startswith(b"["):
        return json.loads(text)
    return [json.loads(line) for line in text.split(b"\n") if line.strip()]


def assert_equal_traffic(case: dict[str, Any], requests: list[dict[str, Any]]) -> None:
    """By the rules of the golden README."""
    then = RECORDED[case["id"]]["requests"]
    assert [(r["host"], r["method"], r["path"]) for r in requests] == [
        (r["host"], r["method"], r["path"]) for r in then
    ]
    for ours, theirs in zip(requests, then, strict=True):
        pairs = [tuple(pair) for pair in theirs["query_pairs"] if pair != ["sub_type", "None"]]
        assert sorted(ours["query_pairs"]) == sorted(pairs)
        assert ours["headers"].get("authorization") == theirs["headers"].get("authorization")
        kind, was = ours["headers"].get("content-type", ""), theirs["headers"].get("content-type", "")
        assert kind.partition(";")[0] == was.partition(";")[0]
        assert_equal_body(ours["body"], kind, theirs["body"])


def assert_equal_body(ours: bytes, kind: str, theirs: dict[str, Any]) -> None:
    if "multipart" in theirs:
        parts = multipart(ours, kind)
        assert [name for name, _ in parts] == [part["name"] for part in theirs["multipart"]]
        assert [hashlib.sha256(content).hexdigest() for _, content in parts] == [
            part["sha256"] for part in theirs["multipart"]
        ]
        assert parts[-1][0] == "file"
    elif "json" in theirs:
        assert json.loads(ours) == theirs["json"]
    elif theirs["size"]:
        text = theirs["text"].encode() if "text" in theirs else base64.b64decode(theirs["base64"])
        assert records(ours) == records(text)
    else:
        assert ours == b""


def assert_same_result(case: dict[str, Any], result: Any, folder: Path) -> None:
    """Ours carries the information of what was returned then."""
    then = RECORDED[case["id"]]
    was = then["result"]
    if was["kind"] == "json" and case["call"].endswith("ReportDates"):
        wanted = was["value"] if isinstance(was["value"], list) else [was["value"]]
        assert sorted(result) == sorted(wanted)
    elif was["kind"] == "json" and was["value"] is not None:
        assert (result.raw if isinstance(result, Recommendations) else result) == was["value"]
    elif was["kind"] == "response" and not then.get("files"):
        assert isinstance(result, (Response, Sent))
        assert result.status == was["status"]
        if isinstance(result, Response):
            assert result.text == was["text"]
    for name, file in then.get("files", {}).items():
        found = folder / name
        assert file is None or hashlib.sha256(found.read_bytes()).hexdigest() == file["sha256"]
