"""What a bundle costs on this target: latency, memory, size, cold start."""
