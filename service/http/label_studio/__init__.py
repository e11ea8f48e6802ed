"""A machine learning backend for Label Studio: masks as brush strokes to start labelling from."""
