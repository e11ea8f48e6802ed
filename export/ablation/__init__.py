"""The decoder ablations of section 4.1, over several seeds."""
