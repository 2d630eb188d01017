"""Secret keys and what is done with them: signatures over evidence, sealed signing secrets."""
