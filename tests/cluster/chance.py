"""How much is generated, and from what: FUZZ_N and FUZZ_SEED in the environment, else a fixed number and a new seed."""

import os
import secrets
from random import Random


def dice() -> Random:
    """Return the source of all chance in a test. A test that fails shows the seed, which repeats it."""
    seed = int(os.environ.get("FUZZ_SEED") or secrets.randbits(32))
    print(f"FUZZ_SEED={seed}")  # noqa: T201 (pytest keeps it for the report of a failure)
    return Random(seed)


def count(default: int) -> int:
    """Return how many of each kind to generate."""
    return int(os.environ.get("FUZZ_N") or default)
