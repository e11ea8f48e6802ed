"""The service's queue and batching on paper: checked against a real server, then for many."""
