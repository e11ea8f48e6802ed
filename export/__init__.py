"""From labelled pictures to an ONNX file: data sets, training, evaluation, export."""

import os

# onnxruntime's packages report their use to their maker unless told before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
