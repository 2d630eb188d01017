"""`detector models`: promotion past the quality gate, rollback, history."""
