"""Standard output and nowhere."""

from __future__ import annotations

import io
import os

import pytest

from engine.errors import Halt
from engine.sinks.discard import DiscardSink
from engine.sinks.stdout import StdoutSink
from tests.sinks.helpers import payloads


def test_stdout_prints_a_json_value_a_line(capfdbinary):
    sink = StdoutSink()
    sink.open(None)
    assert sink.write(payloads({"a": 10**40}, "é", None)) is None
    assert sink.write(payloads()) is None
    assert sink.sync() is None
    sink.finish()
    sink.close()
    assert capfdbinary.readouterr().out == b'{"a":1' + b"0" * 40 + '}\n"é"\nnull\n'.encode()


def test_stdout_can_be_handed_in():
    sink = StdoutSink()
    sink.stream = io.BytesIO()
    stream = sink.stream
    sink.open(None)
    sink.write(payloads(1, 2))
    assert stream.getvalue() == b"1\n2\n"


def test_a_closed_pipe_halts():
    reader, writer = os.pipe()
    os.close(reader)
    sink = StdoutSink()
    sink.stream = os.fdopen(writer, "wb", buffering=0)
    stream = sink.stream
    sink.open(None)
    with pytest.raises(Halt) as told:
        sink.write(payloads(*range(10)))
    assert (told.value.reason, told.value.where) == ("stdout closed", "stdout")
    sink.close()
    stream.close()


def test_a_closed_stream_halts():
    sink = StdoutSink()
    sink.stream = io.BytesIO()
    sink.stream.close()
    with pytest.raises(Halt, match="stdout closed"):
        sink.write(payloads(1))


def test_discard_takes_anything_and_keeps_nothing():
    sink = DiscardSink()
    sink.open(None)
    assert sink.write(payloads(1, {"a": [2]})) is None
    assert sink.sync() is None
    sink.finish()
    sink.close()
    assert not DiscardSink.transactional
    assert not StdoutSink.transactional
