"""The HTTP gateway: takes photos in, answers with verdicts."""
