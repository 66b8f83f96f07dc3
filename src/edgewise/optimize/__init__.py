"""A source model becomes candidates that pass the fidelity gate, and the best becomes a bundle."""
