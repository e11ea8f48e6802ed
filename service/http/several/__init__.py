"""Several pictures in one request, answered in one file."""
