"""Labelled pictures: where they lie, what they mean, how they become samples."""
