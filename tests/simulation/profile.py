"""How the state machines are tried: the same examples each time, and as long as they take.

`SIMULATION_EXAMPLES` says how many: `make simulate` tries more.
"""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = settings(
    max_examples=int(os.environ.get("SIMULATION_EXAMPLES", "100")),
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
