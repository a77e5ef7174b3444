#!/bin/sh
# The ENTRYPOINT of the image: sets the environment, goes where the app is, and becomes what it is given.
set -e
export PATH="/app/.venv/bin:$PATH" SHOP_STARTED_BY=entrypoint
cd /app/src
exec "$@"
