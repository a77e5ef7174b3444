"""`python -m reconciler` is celery-reconcile, and so is `kubectl celery`."""

import sys


def main() -> None:
    """Run the command; without the extra that it needs, say how to get it."""
    try:
        from reconciler import cli  # noqa: PLC0415 (needs what the renderer does not)
    except ModuleNotFoundError as missing:
        where = "'celery-render[reconciler]', or '.[reconciler]' in a checkout"
        sys.exit(f"celery-reconcile needs the package {missing.name}: pip install {where}")
    cli.main(prog_name="kubectl celery" if sys.argv[0].endswith("kubectl-celery") else "celery-reconcile")


if __name__ == "__main__":
    main()
