"""An artifact: a draft that is filled and logged, then a version that is read."""
