"""JSON bodies of the API, by noun. JSON is snake_case."""
