"""The contract between stages and the run time: tasks, stages, workers."""
