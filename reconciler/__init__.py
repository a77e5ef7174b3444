"""CeleryApps in the cluster, and the children that run them: applied, healed, pruned and reported."""
