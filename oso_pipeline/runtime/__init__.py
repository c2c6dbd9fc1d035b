"""Plan, tasks, executors and resume."""
