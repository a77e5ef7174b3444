"""`python -m reconciler` is celery-reconcile, and so is `kubectl celery`."""

import sys

from render import streams


def main() -> None:
    """Run the command; without the extra that it needs, say how to get it."""
    try:
        from reconciler import cli  # noqa: PLC0415 (needs what the renderer does not)
    except ModuleNotFoundError as missing:
        where = "'celery-render[reconciler]', or '.[reconciler]' in a checkout"
        sys.exit(f"celery-reconcile needs the package {missing.name}: pip install {where}")
    name = "kubectl celery" if sys.argv[0].endswith("kubectl-celery") else "celery-reconcile"
    streams.begin(cli.main, 2, name)  # 1 means much: that something would change, or could not be done


if __name__ == "__main__":
    main()
