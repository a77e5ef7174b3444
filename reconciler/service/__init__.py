"""What runs: which app is looked at next, and what the outside sees."""
