"""Reading and writing local files: hash and copy in one read, notice changes, reach the disk.

Below every room that touches files, because the SDK (private copies) and the local store (blobs)
must do this alike. What it costs and why: docs/design/001-storage.md.
"""
