"""From labelled pictures to an ONNX file: data sets, training, evaluation, export."""
