"""How good a network is, and by which measure."""
