"""Whether the photos can be trusted: broken files, leaks between splits, clues in the files."""
