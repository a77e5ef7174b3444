"""A CeleryApp document in, Kubernetes objects out."""
