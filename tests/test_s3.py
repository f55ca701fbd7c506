"""S3, against a server on loopback: objects are read, written whole in parts, or not there at all."""

from __future__ import annotations

import gzip

import pytest

from engine.errors import Halt, InvalidPipeline, Refused
from engine.sinks import remote
from engine.sinks.file import FileSink
from engine.sources.files import FileSource
from tests.sinks.helpers import payloads

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install 'engine[s3]'")
moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")


@pytest.fixture(scope="module")
def address():
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(address, monkeypatch, request):
    """A client and the name of a new bucket; the engine finds the server as it would find a real one."""
    for name, value in {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    name = f"b{abs(hash(request.node.name)):x}"
    client.create_bucket(Bucket=name)
    yield client, name
    client.close()


def keys(client, name):
    return [found["Key"] for found in client.list_objects_v2(Bucket=name).get("Contents", ())]


def dangling(client, name):
    return client.list_multipart_uploads(Bucket=name).get("Uploads", [])


TEXT = b"a,b\n" + b"".join(b"%d,v\n" % n for n in range(30_000))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_object_is_read_and_resumed(bucket, pack):
    client, name = bucket
    client.put_object(Bucket=name, Key="in/a.csv", Body=pack(TEXT))
    source = FileSource(path=f"s3://{name}/in/a.csv")
    [part] = source.partitions()
    batches = list(source.read(part))
    assert sum(len(rows) for rows in batches) == 30_000
    end = batches[7].end
    assert source.checksum(part, end.offset) == end.check
    assert sum(len(rows) for rows in source.read(part, end)) == 30_000 - end.row


def test_an_object_that_is_not_there_is_refused(bucket):
    with pytest.raises(Refused, match="cannot be read"):
        list(FileSource(path=f"s3://{bucket[1]}/a.csv").read(f"s3://{bucket[1]}/a.csv"))


def test_patterns_are_for_local_files(bucket):
    with pytest.raises(InvalidPipeline, match="patterns are for local files"):
        FileSource(path=f"s3://{bucket[1]}/*.csv").partitions()


@pytest.mark.parametrize("rows", [0, 10, 60_000])
@pytest.mark.parametrize("packing", ["none", "gz"])
def test_an_object_appears_whole(bucket, tmp_path, monkeypatch, rows, packing):
    client, name = bucket
    monkeypatch.setattr(remote, "PART", 5 * 1024 * 1024)  # the least that S3 takes
    sink = FileSink(path=f"s3://{name}/out/a.jsonl", compression=packing, base=str(tmp_path))
    sink.open(None)
    sink.write(payloads(*[{"id": n, "text": "x" * 100} for n in range(rows)]))
    sink.sync()
    assert keys(client, name) == []
    sink.finish()
    sink.close()
    body = client.get_object(Bucket=name, Key="out/a.jsonl")["Body"].read()
    assert (gzip.decompress(body) if packing == "gz" else body).count(b"\n") == rows
    parts = client.head_object(Bucket=name, Key="out/a.jsonl", PartNumber=1).get("PartsCount", 1)
    assert parts == (2 if rows == 60_000 and packing == "none" else 1)
    assert dangling(client, name) == []


def test_an_upload_that_fails_leaves_nothing(bucket, tmp_path, monkeypatch):
    client, name = bucket
    monkeypatch.setattr(remote, "PART", 5 * 1024 * 1024)
    sink = FileSink(path=f"s3://{name}/a.jsonl", base=str(tmp_path))
    sink.open(None)
    sink.write(payloads(*["x" * 1000] * 12_000))
    state = sink.sync()
    real, sent = remote.shutil.copyfileobj, []

    def failing(source, target, length):
        sent.append(target.write(source.read(11 * 1024 * 1024)))
        raise OSError("the disk is gone")

    monkeypatch.setattr(remote.shutil, "copyfileobj", failing)
    with pytest.raises(Halt, match="cannot be written"):
        sink.finish()
    sink.close()
    assert sent
    assert keys(client, name) == dangling(client, name) == []
    monkeypatch.setattr(remote.shutil, "copyfileobj", real)
    sink = FileSink(path=f"s3://{name}/a.jsonl", base=str(tmp_path))
    sink.open(state)
    sink.finish()
    sink.close()
    assert keys(client, name) == ["a.jsonl"]


def test_a_bucket_that_is_not_there_halts(bucket, tmp_path):
    sink = FileSink(path="s3://no-such-bucket-here/a.jsonl", base=str(tmp_path))
    sink.open(None)
    with pytest.raises(Halt, match="cannot be written"):
        sink.finish()
    sink.close()
