"""A line to begin with, for the help of each command."""

EXAMPLES = {
    "data check": "data",
    "data coco": "train.json photos data --split train",
    "data sbd": "VOCdevkit/VOC2012 benchmark_RELEASE",
    "train": "--data data --recipe export/recipes/short.toml --out runs/cracks",
    "evaluate": "runs/cracks/best.safetensors --data data --picture quality.png",
    "trimap": "with.onnx without.onnx --data data --widths 1 2 4 8",
    "table": "export/tables/table5.toml --layout voc --data VOCdevkit/VOC2012",
    "export": "runs/cracks/best.safetensors cracks.onnx --data data",
    "confidence": "cracks.onnx cracks.onnx",
    "quantise": "cracks.onnx cracks-int8.onnx --data data",
    "ablate": "--recipe export/recipes/ablation-resnet.toml --layout camvid --data CamVid",
    "import": "deeplabv3_257_mv_gpu.tflite voc.safetensors --pictures photos",
    "adopt": (
        "unet.onnx cracks.onnx --labels background,crack --threshold 0 "
        "--mean 0.485 0.456 0.406 --std 0.229 0.224 0.225 --scale 255 --data data"
    ),
    "pull": "deeplabv3_mnv2_pascal_quant voc.onnx",
}
"""By the command's name: its arguments."""
