"""What time it is, by two clocks."""

import time
from datetime import UTC, datetime, timedelta

from reconciler.model import Moment

_BEGAN = datetime.now(UTC), time.monotonic()


def now() -> Moment:
    wall, steady = _BEGAN
    return Moment(datetime.now(UTC), wall + timedelta(seconds=time.monotonic() - steady))
