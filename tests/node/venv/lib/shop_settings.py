"""Found by the PYTHONPATH of the image alone."""
