"""The public face. Knows nothing of ONNX Runtime."""
