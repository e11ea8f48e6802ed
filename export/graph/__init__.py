"""The ONNX file: what is in it, how it is made small and fast."""
