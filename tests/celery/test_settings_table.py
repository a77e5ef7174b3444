"""render/hazards/celery_settings.py says of each Celery which settings it reads; settings_table.py writes it."""

import settings_table

from render.hazards.celery_settings import SINCE


def test_the_table_is_what_celery_reads(celery_bin, celery_version):
    older = [names for version, names in SINCE.items() if version <= celery_version]
    assert set().union(*older) == settings_table.settings(celery_bin / "python")


def test_the_table_is_written_as_its_script_writes_it():
    known, by_version = set(), {}
    for version, names in SINCE.items():
        known = known | names
        by_version[version] = known
    assert settings_table.TABLE.read_text(encoding="utf-8") == settings_table.text(by_version)
