"""The public API: what others made, found and changed without a run."""
