"""Makes calls of `lumidatumclient` 0.11.0, unchanged. Started in that package's own environment.

python lumidatum_calls.py BASE_URL TOKEN FOLDER < CALLS        (CALLS: a JSON list of [method, args, kwargs])

The package says `import helpers` where it means its own module, which no Python 3 finds: its folder is put on the path.
"""

import importlib.util
import json
import sys
from pathlib import Path

spec = importlib.util.find_spec("lumidatumclient")
sys.path.append(str(Path(spec.origin).parent))

from lumidatumclient import LumidatumClient  # noqa: E402


def told(result):
    """A result as JSON."""
    if hasattr(result, "status_code"):
        return {"status": result.status_code}
    return result


def main(base_url, token, folder):
    client = LumidatumClient(token, 123, base_url)
    results = []
    for method, args, kwargs in json.load(sys.stdin):
        args = [a.replace("{FOLDER}", folder) if isinstance(a, str) else a for a in args]
        kwargs = {k: v.replace("{FOLDER}", folder) if isinstance(v, str) else v for k, v in kwargs.items()}
        results.append(told(getattr(client, method)(*args, **kwargs)))
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
