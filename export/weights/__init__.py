"""Weights: checkpoints, and what others have trained."""
