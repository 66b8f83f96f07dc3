"""Where a workload should run and what it costs."""
