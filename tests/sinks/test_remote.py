"""Stores: the object appears whole at the end, or not at all."""

from __future__ import annotations

import io

import pytest
import smart_open

from engine.errors import Halt, InvalidPipeline
from engine.sinks.file import FileSink
from engine.sinks.remote import transport
from tests.sinks.helpers import UNPACK, payloads


class Store:
    """Stands in for a store's client: an object is there once its handle was left without an exception."""

    def __init__(self):
        self.objects = {}
        self.fail_after = None

    def open(self, address, mode, compression, transport_params):
        assert (mode, compression) == ("wb", "disable")
        assert transport_params["min_part_size"] == 16 * 1024 * 1024
        return Handle(self, address)


class Handle(io.BytesIO):
    def __init__(self, store, address):
        super().__init__()
        self.store, self.address = store, address

    def write(self, data):
        if self.store.fail_after is not None and self.tell() + len(data) > self.store.fail_after:
            raise RuntimeError("connection lost, key AKIA123")
        return super().write(data)

    def __exit__(self, kind, *_):
        if kind is None:
            self.store.objects[self.address] = self.getvalue()


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr(smart_open, "open", store.open)
    monkeypatch.setattr(smart_open.transport, "get_transport", lambda scheme: None)
    return store


@pytest.mark.parametrize("packing", UNPACK)
def test_an_object_is_written_at_the_end(tmp_path, store, packing):
    address = "s3://bucket/a.jsonl" + ("" if packing == "none" else f".{packing}")
    sink = FileSink(path=address, base=str(tmp_path))
    sink.open(None)
    sink.write(payloads(1))
    state = sink.sync()
    sink.close()
    assert store.objects == {}
    sink = FileSink(path=address, base=str(tmp_path))
    sink.open(state)
    sink.write(payloads(2))
    sink.finish()
    sink.close()
    assert UNPACK[packing](store.objects[address]) == b"1\n2\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("packing", UNPACK)
def test_a_failed_upload_leaves_no_object_and_can_be_tried_again(tmp_path, store, packing):
    address = "s3://bucket/a.jsonl"
    sink = FileSink(path=address, compression=packing, base=str(tmp_path))
    sink.open(None)
    sink.write(payloads(*range(100_000)))
    state = sink.sync()
    store.fail_after = 1000
    with pytest.raises(Halt) as told:
        sink.finish()
    sink.close()
    assert "AKIA123" not in str(told.value)
    assert store.objects == {}
    store.fail_after = None
    sink = FileSink(path=address, compression=packing, base=str(tmp_path))
    sink.open(state)
    sink.finish()
    assert UNPACK[packing](store.objects[address]).count(b"\n") == 100_000
    sink.close()


def test_a_store_without_its_library_names_the_extra(tmp_path, monkeypatch):
    def missing(scheme):
        raise ImportError(scheme)

    monkeypatch.setattr(smart_open.transport, "get_transport", missing)
    sink = FileSink(path="gs://bucket/a.jsonl", base=str(tmp_path))
    with pytest.raises(InvalidPipeline, match=r"engine\[gcs\]"):
        sink.open(None)
        sink.finish()
    sink.close()


@pytest.mark.parametrize("size", [0, 16 << 20, 150 << 30, 5 << 40])
def test_a_file_of_any_size_fits_into_the_parts_that_a_store_takes(size):
    for address in ("s3://bucket/a", "gs://bucket/a", "azure://bucket/a"):
        params = transport(address, size)
        assert size / params["min_part_size"] < 10_000
        assert params["min_part_size"] % (256 * 1024) == 0
        assert params.get("multipart_upload", True) is not (address.startswith("s3") and size < 16 << 20)
