"""Who looks when: the leader's rounds, one window's check, what is published of it."""
