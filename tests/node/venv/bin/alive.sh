#!/bin/sh
# The probe that goes with it.
exec /app/.venv/bin/celery --app=started:app inspect ping --destination="script@$HOSTNAME" --timeout=10
