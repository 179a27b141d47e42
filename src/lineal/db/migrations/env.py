"""Run by Alembic: `migrate` hands over the connection, so all steps are one transaction."""

from alembic import context

from lineal.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction is the transaction
)
context.run_migrations()
