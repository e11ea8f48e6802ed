"""From an ONNX file to answers: engine, images, HTTP, metrics, settings. No torch."""
