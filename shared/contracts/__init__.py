"""The words services share: states, error codes, task names, wire schemas. No behaviour."""
