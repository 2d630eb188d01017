"""`detector webhooks`: receivers of events, and what became of their deliveries."""
