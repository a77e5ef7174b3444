"""Hostile apps made at random, for about half a minute: `make fuzz-inputs` makes as many as you like."""

import gc
import random
import secrets

import inputs

COUNT = 900


def test_no_traceback_no_byte_of_an_app_s_and_no_word_of_a_server_s():
    seed = secrets.token_hex(4)
    assert [*inputs.look(random.Random(seed), COUNT)] == [], f"python tests/brokers/inputs.py {COUNT} --seed {seed}"
    gc.collect()  # what a look has left open fails the test in which it is found


def test_every_document_is_rendered_or_refused_in_words():
    seed = secrets.token_hex(4)
    assert [*inputs.read(random.Random(seed), COUNT)] == [], seed
