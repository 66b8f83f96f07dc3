"""Confidence made to mean probability, and certificates of quality."""
