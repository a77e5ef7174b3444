"""What waits on message brokers, and what runs of it: look.py is the way in, kombu is known to nobody else."""
