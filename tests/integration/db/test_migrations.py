"""The migrations make the schema that the models describe."""

import subprocess
import sys

from alembic import command

from shared.db.migrate import alembic_config, revisions, upgrade


def test_the_migrated_schema_is_the_models(servers):
    command.check(alembic_config(servers.database_url))
    current, head = revisions(servers.database_url)
    assert current == head


def test_down_to_nothing_and_up_again(servers):
    command.downgrade(alembic_config(servers.database_url), "base")
    assert revisions(servers.database_url)[0] is None
    upgrade(servers.database_url)
    command.check(alembic_config(servers.database_url))


def test_two_deployments_migrating_at_once_do_not_collide(servers):
    command.downgrade(alembic_config(servers.database_url), "base")
    program = "import sys; from shared.db.migrate import upgrade; upgrade(sys.argv[1])"
    # Processes, as deployments are: Alembic keeps its context in the module.
    runs = [
        subprocess.Popen([sys.executable, "-c", program, servers.database_url]) for _ in range(3)
    ]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    current, head = revisions(servers.database_url)
    assert current == head
