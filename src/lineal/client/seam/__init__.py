"""The seam between the SDK and whatever keeps the data, by concern; `client.backend` is the sum."""
