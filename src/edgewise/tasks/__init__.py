"""What a task means: input to tensors, logits to predictions, and its quality metric."""
