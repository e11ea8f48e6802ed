"""The service on many machines, by Ray Serve: docs/cluster.md. Needs the extra `cluster`."""
