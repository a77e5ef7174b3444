"""How much is generated, and from what: FUZZ_N and FUZZ_SEED in the environment, else a fixed number, a known seed."""

import os
import secrets
from random import Random

KNOWN_SEEDS = range(1, 8)
"""All was well with them before, so that a failure is a change's, not chance's."""


def dice() -> Random:
    """Return the source of all chance in a test. A test that fails shows the seed, which repeats it."""
    seed = int(os.environ.get("FUZZ_SEED") or secrets.choice(KNOWN_SEEDS))
    print(f"FUZZ_SEED={seed}")  # noqa: T201 (pytest keeps it for the report of a failure)
    return Random(seed)


def count(default: int) -> int:
    """Return how many of each kind to generate."""
    return int(os.environ.get("FUZZ_N") or default)
