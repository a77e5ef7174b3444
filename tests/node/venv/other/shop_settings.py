"""Found by another PYTHONPATH, of envFrom."""
