"""What travels between instances: offline runs, and bundles of versions."""
