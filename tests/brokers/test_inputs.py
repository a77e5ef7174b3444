"""Hostile apps made at random, for about half a minute: `make fuzz-inputs` makes as many as you like."""

import os
import random
import secrets

import inputs

SEED = os.environ.get("FUZZ_SEED") or str(secrets.choice(range(1, 33)))
"""One of those with which all was well before, so that a failure is a change's, not chance's."""
COUNT = 900


def test_no_traceback_no_byte_of_an_app_s_no_word_of_a_server_s_and_nothing_left_open():
    wrong = [*inputs.look(random.Random(SEED), COUNT)]
    assert wrong == [], f"python tests/brokers/inputs.py {COUNT} --seed {SEED}"


def test_every_document_is_rendered_or_refused_in_words():
    assert [*inputs.read(random.Random(SEED), COUNT)] == [], SEED
