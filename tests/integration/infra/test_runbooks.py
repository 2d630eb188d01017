"""What a runbook tells a person to type at three in the morning works."""

import re

from sqlalchemy import Engine, text

from shared.core.settings import REPOSITORY_ROOT

RUNBOOKS = sorted((REPOSITORY_ROOT / "docs" / "runbooks").glob("*.md"))


def queries() -> list[str]:
    texts = (" ".join(file.read_text().split()) for file in RUNBOOKS)
    found = [query for content in texts for query in re.findall(r"`(SELECT [^`]+)`", content)]
    assert len(found) > 10
    return sorted(set(found))


def test_every_query_of_the_runbooks_fits_the_schema(engine: Engine):
    for written in queries():
        # A value that the reader fills in.
        query = written.replace("'…'", "'00000000-0000-0000-0000-000000000000'").replace(":", "\\:")
        with engine.connect() as connection:
            assert connection.execute(text(query)).keys(), query
