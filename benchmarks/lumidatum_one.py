"""One client's transfers in a process of its own, timed: `lumidatum_one.py ours|theirs BASE_URL FOLDER`.

A small transfer first, so that the base of memory holds every module; then the large one. Prints JSON.
"""

import importlib.util
import json
import resource
import sys
import time
from pathlib import Path

TOKEN = "Token 0000000000000000000000000000000000000000"


def peak():
    """Peak memory so far, in bytes. Linux tells it of this program alone, elsewhere it may hold the starter's."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def client(which, base_url):
    if which == "ours":
        from engine.python.lumidatum import LumidatumClient
    else:
        # The package imports its own module as if it stood alone: its folder is put on the path.
        sys.path.append(str(Path(importlib.util.find_spec("lumidatumclient").origin).parent))
        from lumidatumclient import LumidatumClient
    return LumidatumClient(TOKEN, "large", base_url)


def timed(act, size):
    began, before = time.perf_counter(), peak()
    act()
    seconds = time.perf_counter() - began
    return {"rate": size / seconds / 1e6, "grown": max(0, peak() - before), "seconds": seconds}


def main(which, base_url, folder):
    folder = Path(folder)
    one = client(which, base_url)
    small, large, target = folder / "small.json", folder / "large.json", folder / f"{which}.csv"
    one.getLatestLTVReport(str(target), zipped=False, model_id="small")
    one.sendUserData(file_path=str(small))
    size = large.stat().st_size
    report = timed(lambda: one.getLatestLTVReport(str(target), zipped=False), size)
    assert target.stat().st_size == size
    upload = timed(lambda: one.sendUserData(file_path=str(large)), size)
    print(json.dumps({"download": report, "upload": upload}))


if __name__ == "__main__":
    main(*sys.argv[1:])
