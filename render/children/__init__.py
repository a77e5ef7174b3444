"""One file for each kind of child."""
