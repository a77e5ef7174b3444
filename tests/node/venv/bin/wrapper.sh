#!/bin/sh
# As opentelemetry-instrument does: puts a folder in front of PYTHONPATH, and becomes the program that is named.
export PYTHONPATH="/app/wrapped:$PYTHONPATH" SHOP_STARTED_BY=wrapper
program="/app/.venv/bin/$1"
shift
exec "$program" "$@"
