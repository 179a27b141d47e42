"""A run, from `init` to its last line in the database."""
