"""Put before the installed package where a run shall trust a certificate that a benchmark made a moment ago."""

import os


def where() -> str:
    return os.environ["CA_FILE"]
