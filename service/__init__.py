"""From an ONNX file to answers: engine, images, HTTP, metrics, settings. No torch."""

import os

# onnxruntime's packages report their use to their maker unless told before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
