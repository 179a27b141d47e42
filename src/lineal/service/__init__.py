"""Use cases: authorise, validate, one transaction, return a record."""
