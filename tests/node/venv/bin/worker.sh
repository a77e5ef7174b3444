#!/bin/sh
# A start script that calls Celery itself.
export SHOP_STARTED_BY=script
exec /app/.venv/bin/celery --app=started:app worker --hostname="script@%h" --queues="$1" --concurrency=1
