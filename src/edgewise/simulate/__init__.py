"""Replays traces through the same decision function; the room is furnished by a later change."""
