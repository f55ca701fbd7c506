"""`launch.py OUTPUT COMMAND ...`: runs one command and prints its exit code, CPU and wall seconds, and peak memory.

A process of its own, and a small one: Linux counts the memory of whoever starts a program as that program's.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

with Path(sys.argv[1]).open("w") as output:
    began = time.monotonic()
    process = subprocess.Popen(sys.argv[2:], stdout=output, stderr=output)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
process.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps([process.returncode, usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss]))
