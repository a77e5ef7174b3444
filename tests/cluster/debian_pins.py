"""The packages of Debian that the image is based on, for tests: Debian keeps none that it has a newer one of."""

from pathlib import Path

import base
from servers import missing


def keep_up(lock: Path) -> None:
    """Pin anew, as `make lock` would, what is pinned and gone. Where Debian's archives are not known: missing."""
    try:
        try:
            base.packages(lock)
        except base.NoPackages:
            base.write_lock(lock)
    except base.NoPackages as reason:
        missing(str(reason))
