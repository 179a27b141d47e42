"""Metadata: the only SQL. SQLAlchemy Core, alike on SQLite and PostgreSQL."""
