"""Bytes by key; knows nothing of artifacts."""
