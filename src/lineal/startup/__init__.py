"""A short start: what a run does not need is not loaded."""
