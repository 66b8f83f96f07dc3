"""Signed repository, rollout rings, device agent; the room is furnished by a later change."""
