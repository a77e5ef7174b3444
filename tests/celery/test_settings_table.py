"""render/hazards/celery_settings.py says of each Celery which settings it reads; settings_table.py writes it."""

import inspect
import re
import sys
from pathlib import Path

import amqp
import kombu
import pytest
import settings_table
from celery.bin.celery import celery
from kombu.transport.redis import SentinelChannel

from render.hazards import arguments, settings, variables
from render.hazards.celery_settings import SINCE
from render.hazards.settings import ALL


def test_the_table_is_what_celery_reads(celery_bin, celery_version):
    older = [names for version, names in SINCE.items() if version <= celery_version]
    assert set().union(*older) == settings_table.settings(celery_bin / "python")


def test_the_table_is_written_as_its_script_writes_it():
    known, by_version = set(), {}
    for version, names in SINCE.items():
        known = known | names
        by_version[version] = known
    kinds = settings_table.types(sys.executable)
    assert settings_table.TABLE.read_text(encoding="utf-8") == settings_table.text(by_version, kinds)


def test_no_option_of_a_transport_is_taken_for_another():
    sources = "".join(source.read_text() for source in Path(kombu.__file__).parent.rglob("*.py"))
    read = {*re.findall(r"transport_opt(?:ion)?s(?:\.get\(|\[)\s*['\"](\w+)['\"]", sources)}
    known = {*SentinelChannel.from_transport_options, *inspect.signature(amqp.Connection.__init__).parameters, *read}
    assert known >= settings.TRANSPORT_OPTIONS
    assert [name for name in known if settings.meant_option(name) not in ("", name)] == []


OPTIONS = {f"{name}_{option.name}" for name in ("worker", "beat") for option in celery.commands[name].params}


def test_what_an_option_takes_from_a_variable_is_not_called_unread():
    taken = OPTIONS & ALL
    assert taken == variables.READ - {"broker_url", "broker_read_url", "broker_write_url", "result_backend"}


def test_the_options_of_celery_itself_are_none_of_its_commands():
    flags = [flag for name in ("worker", "beat") for option in celery.commands[name].params for flag in option.opts]
    assert not {*arguments.OF_ALL} & {*flags}
    assert {*arguments.OF_ALL} <= {flag for option in celery.params for flag in option.opts}


@pytest.mark.parametrize("table", [variables.OPTIONS, variables.REFUSED], ids=["OPTIONS", "REFUSED"])
def test_the_options_that_are_taken_from_variables_are_options(table):
    assert {f"{command}_{option}" for command, options in table.items() for option in options} <= OPTIONS
