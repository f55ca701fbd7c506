"""`http_job.py CLIENT j4 INPUT ADDRESS`: J4's bodies over one client, `IN_FLIGHT` at once: a loop by hand."""

import asyncio
import csv
import json
import os
import sys
import threading

from person import purchase

IN_FLIGHT = int(os.environ.get("IN_FLIGHT", "1"))
HEADERS = {"Content-Type": "application/json", "Api-Key": "bench"}
CA = os.environ.get("CA_FILE") or None


def bodies(path):
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield json.dumps(purchase(row), ensure_ascii=False).encode()


def by_threads(post, some):
    """`post` on as many threads as may be in flight; each takes the next body."""
    lock, failed = threading.Lock(), []

    def work():
        while True:
            with lock:
                body = next(some, None)
            if body is None:
                return
            if post(body) != 200:
                failed.append(body)

    threads = [threading.Thread(target=work) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def over_requests(url, some):
    import requests

    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=IN_FLIGHT)
    session.mount("http", adapter)
    by_threads(lambda body: session.post(url, data=body, headers=HEADERS, verify=CA or True).status_code, some)


def over_urllib3(url, some):
    import urllib3

    pool = urllib3.PoolManager(maxsize=IN_FLIGHT, **({"ca_certs": CA} if CA else {}))
    by_threads(lambda body: pool.request("POST", url, body=body, headers=HEADERS).status, some)


def over_pycurl(url, some):
    """The multi interface on one thread."""
    import pycurl

    multi, free, running = pycurl.CurlMulti(), [], 0
    for _ in range(IN_FLIGHT):
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in HEADERS.items()])
        handle.setopt(pycurl.WRITEFUNCTION, len)
        if CA:
            handle.setopt(pycurl.CAINFO, CA)
        free.append(handle)
    ended = False
    while not ended or running:
        while free and not ended:
            body = next(some, None)
            ended = body is None
            if not ended:
                handle = free.pop()
                handle.setopt(pycurl.POSTFIELDS, body)
                multi.add_handle(handle)
                running += 1
        multi.perform()
        _, done, failed = multi.info_read(IN_FLIGHT)
        assert not failed, failed
        for handle in done:
            assert handle.getinfo(pycurl.RESPONSE_CODE) == 200
            multi.remove_handle(handle)
            free.append(handle)
            running -= 1
        if not done and running:
            multi.select(1.0)


def over_aiohttp(url, some):
    asyncio.run(_aiohttp(url, some))


async def _aiohttp(url, some):
    import ssl

    import aiohttp

    trusted = ssl.create_default_context(cafile=CA) if CA else True
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=trusted)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def work():
            for body in some:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    assert answer.status == 200

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    client, job, source, address = sys.argv[1:]
    globals()[f"over_{client}"](address + "/commerce/trackPurchase", bodies(source))
