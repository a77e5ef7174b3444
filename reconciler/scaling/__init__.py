"""How many pods a group of workers has."""
