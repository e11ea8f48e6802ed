"""How fast the service is, against the raw session and under load."""
