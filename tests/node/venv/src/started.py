"""The app `shop`, in an image with Celery in a virtual environment. It says how it was started."""

import json
import os
import socket
import sys

import shop_settings
from shop.celery import app, records

__all__ = ["app"]

told = {
    "pod": socket.gethostname(),
    "program": sys.orig_argv[0],
    "by": os.environ.get("SHOP_STARTED_BY"),
    "settings": shop_settings.__file__,
}
records.rpush("records", json.dumps({"event": "imported"} | told))
