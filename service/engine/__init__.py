"""The model and the queue before it. Knows nothing of HTTP."""
