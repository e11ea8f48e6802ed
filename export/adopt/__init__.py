"""Other people's ONNX segmentation models, wrapped into this project's contract."""
