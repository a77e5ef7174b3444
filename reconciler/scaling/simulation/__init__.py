"""What would become of a load, by the code that decides in a cluster: `celery-reconcile simulate`."""
