"""Kubernetes quantities: `500m`, `1.5`, `256Mi`, `1e3`. Pure integers, as in resource.Quantity; no floats."""

import re
from functools import lru_cache

NANOS = 10**9
"""The unit of every calculation here: no quantity is finer."""
MILLI = 10**6
MAX = 2**63 - 1

_QUANTITY = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d{1,2}))", re.ASCII)
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_EXPONENT = {suffix: exponent for exponent, suffix in _DECIMAL.items()}


def canonical(value: str | int) -> str:
    """Return the quantity as the API server stores it: `0.5` is 500m, `1024Mi` is 1Gi. Raises ValueError for others.

    A desired object with any other spelling differs from the live one for ever.
    """
    return _spelled(*_parsed(value))


def requested(value: str | int) -> str:
    """Return the quantity as the API server stores it in requests and limits: canonical, in whole thousandths."""
    nanos, notation = _parsed(value)
    return _spelled(-(-abs(nanos) // MILLI) * MILLI * (1 if nanos >= 0 else -1), notation)


def _spelled(nanos: int, notation: str) -> str:
    if nanos == 0:
        return "0"
    whole, rest = divmod(nanos, NANOS)
    if notation == "binary" and abs(nanos) >= 1024 * NANOS and rest == 0:
        power, number = _factors(whole, 1024)
        return f"{number}{_BINARY[power]}"
    power, _ = _factors(nanos, 10)
    exponent = (power - 9) // 3 * 3
    if notation == "exponent":
        return f"{nanos // 10 ** (exponent + 9)}e{exponent}".removesuffix("e0")
    exponent = min(exponent, 18)  # there is no larger suffix; Go loses the zeros of 1000E
    return f"{nanos // 10 ** (exponent + 9)}{_DECIMAL[exponent]}"


def kibibytes(value: str | int) -> int:
    """Return the quantity of memory in KiB, rounded up: Celery counts in KiB, and takes 0 for no limit."""
    nanos, _ = _parsed(value)
    return -(-nanos // (1024 * NANOS))


@lru_cache(maxsize=4096)  # thousands of pods request the same
def milli(value: str | int) -> int:
    """Return the quantity in thousandths, rounded away from zero, as `Quantity.MilliValue`."""
    nanos, _ = _parsed(value)
    return min(-(-abs(nanos) // MILLI), MAX) * (1 if nanos >= 0 else -1)


def _parsed(value: str | int) -> tuple[int, str]:
    """Return nanos, rounded away from zero, and the notation: binary, decimal or exponent."""
    match = _QUANTITY.fullmatch(str(value))
    if not match or not (match[2] or match[3]):
        raise ValueError(f"{value!r} is not a quantity (e.g. 500m, 1.5 or 256Mi)")
    sign, digits, fraction, binary, suffix, exponent = (group or "" for group in match.groups())
    scale = int(exponent or _EXPONENT[suffix]) - len(fraction) + 9
    nanos = int(digits + fraction) * 1024 ** _BINARY.index(binary)
    nanos = nanos * 10**scale if scale >= 0 else -(-nanos // 10**-scale)
    if binary:
        nanos = min(nanos, MAX * NANOS)
    return (-nanos if sign == "-" else nanos), "binary" if binary else "exponent" if exponent else "decimal"


def _factors(number: int, base: int) -> tuple[int, int]:
    """Return how often the base divides the number, and what is left of it."""
    power = 0
    while number % base == 0:
        number //= base
        power += 1
    return power, number
