"""The exported file as a model of Triton Inference Server."""
