"""The embedded backend: an instance in a folder of this machine, with no server."""
