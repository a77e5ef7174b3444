"""The cluster: the API server, who may write to it, and the objects that are there."""
