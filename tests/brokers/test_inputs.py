"""Hostile apps made at random, for about half a minute: `make fuzz-inputs` makes as many as you like."""

import random
import secrets

import inputs
import pytest

# The brokers' clients leave a socket to the garbage collector where TLS fails by another error than they know of.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
COUNT = 900


def test_no_traceback_no_byte_of_an_app_s_and_no_word_of_a_server_s():
    seed = secrets.token_hex(4)
    assert [*inputs.look(random.Random(seed), COUNT)] == [], f"python tests/brokers/inputs.py {COUNT} --seed {seed}"


def test_every_document_is_rendered_or_refused_in_words():
    seed = secrets.token_hex(4)
    assert [*inputs.read(random.Random(seed), COUNT)] == [], seed
