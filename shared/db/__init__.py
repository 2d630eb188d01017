"""PostgreSQL, the truth: models, migrations, and repositories that hold all SQL.

Repositories take a `Session` and never commit; the use case owns the transaction.
"""
