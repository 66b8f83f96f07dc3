"""Scoring, sweeps and serving on Ray; the room is furnished by a later change."""
