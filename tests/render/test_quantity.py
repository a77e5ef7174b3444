"""Quantities against k8s.io/apimachinery v0.37.2: the right column is what its CanonicalizeBytes answers."""

import pytest

from render import quantity

CANONICAL = {
    "0.5": "500m",
    "1000m": "1",
    "2000m": "2",
    "1500m": "1500m",
    "1.5": "1500m",
    "1.50": "1500m",
    "1.500": "1500m",
    "0.001": "1m",
    "0.1m": "100u",
    "1999999999n": "1999999999n",
    "1024Mi": "1Gi",
    "1536Mi": "1536Mi",
    "1.5Gi": "1536Mi",
    "0.5Gi": "512Mi",
    "1.5Mi": "1536Ki",
    "1.5Ki": "1536",
    "1Ki": "1Ki",
    "2048Ki": "2Mi",
    "1000Mi": "1000Mi",
    "200M": "200M",
    "1000k": "1M",
    "1000": "1k",
    "1024": "1024",
    "0.1Ki": "102400m",
    "1.1Ki": "1126400m",
    "3.3Gi": "3543348019200m",
    "0.0001Ki": "102400u",
    "1e3": "1e3",
    "1E3": "1e3",
    "1e+03": "1e3",
    "1.5e3": "1500",
    "12e5": "1200e3",
    "100e3": "100e3",
    "1e0": "1",
    "1e-3": "1e-3",
    "1E": "1E",
    "10E": "10E",
    "1e21": "1e21",
    "0": "0",
    "00": "0",
    "-0": "0",
    "0Ki": "0",
    "0.0Mi": "0",
    "+5": "5",
    "01Mi": "1Mi",
    "1.": "1",
    ".5": "500m",
    "1.Gi": "1Gi",
    "-1.5": "-1500m",
    "0.1n": "1n",
    "-0.1n": "-1n",
    "1e-10": "1e-9",
    "1.23456789012": "1234567891n",
    "0.00000000001Ki": "11n",
    "7Ei": "7Ei",
    "8Ei": "9223372036854775807",
    "100Ei": "9223372036854775807",
    "-8Ei": "-9223372036854775807",
    "9223372036854775808": "9223372036854775808",
    "12345678901234567890123": "12345678901234567890123",
}


@pytest.mark.parametrize(("written", "stored"), CANONICAL.items())
def test_a_quantity_is_spelled_as_the_api_server_stores_it(written, stored):
    assert quantity.canonical(written) == stored


@pytest.mark.parametrize("stored", sorted(set(CANONICAL.values())))
def test_a_canonical_quantity_stays_as_it_is(stored):
    assert quantity.canonical(stored) == stored


def test_an_integer_is_a_quantity_too():
    assert [quantity.canonical(number) for number in (0, 2, 1500, -3000)] == ["0", "2", "1500", "-3k"]


@pytest.mark.parametrize(
    ("written", "stored"),
    [("100u", "1m"), ("1091e-9", "1e-3"), ("0.0001Ki", "103m"), ("1.5", "1500m"), ("1024Mi", "1Gi"), ("-1u", "-1m")],
)
def test_a_request_is_stored_in_whole_thousandths(written, stored):
    assert quantity.requested(written) == stored


def test_the_zeros_of_1000e_are_kept_where_go_loses_them():
    assert quantity.canonical("1000E") == "1000E"


@pytest.mark.parametrize(
    "text", ["", " ", "1 ", ".", "-", "e3", "1K", "1ki", "1GB", "1mm", "1m5", "1e", "1e1.5", "0x10", "٣"]
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.canonical(text)


@pytest.mark.parametrize(
    ("memory", "kibibytes"),
    [("200Mi", 204_800), ("1Ki", 1), ("200M", 195_313), (1_048_576, 1_024), ("1", 1), ("1025", 2), ("0", 0)],
)
def test_memory_in_kibibytes_is_rounded_up(memory, kibibytes):
    assert quantity.kibibytes(memory) == kibibytes


@pytest.mark.parametrize(
    ("value", "thousandths"),
    [
        ("1", 1000),
        ("100m", 100),
        ("1u", 1),
        ("123456789n", 124),
        ("-1500u", -2),
        ("1Ki", 1_024_000),
        ("8Ei", 2**63 - 1),
    ],
)
def test_thousandths_are_rounded_away_from_zero(value, thousandths):
    assert quantity.milli(value) == thousandths
