"""`python -m reconciler` is celery-reconcile."""

from reconciler.cli import main

main(prog_name="celery-reconcile")
