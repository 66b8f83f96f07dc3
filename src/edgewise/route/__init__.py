"""The pure decision, and the engine that carries it out."""
