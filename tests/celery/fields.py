"""Fields of a worker group that Celery hears of, and since which version it takes them."""

GROUP = {
    "queues": ["celery", "mail"],
    "logLevel": "ERROR",
    "prefetchMultiplier": 1,
    "optimization": "fair",
    "maxTasksPerChild": 10,
    "maxMemoryPerChild": "200Mi",
    "timeLimitSeconds": 60,
    "softTimeLimitSeconds": 50,
    "taskEvents": True,
    "args": ["--heartbeat-interval=10"],
}
SINCE = {"5.5": {"softShutdownSeconds": 30}, "5.6": {"disablePrefetch": True}, "5.7": {"concurrency": "auto"}}
