"""The text of Triton's model configuration, config.pbtxt."""

from __future__ import annotations

import json
from collections.abc import Sequence

from export.triton.source import About, Size

MAX_BATCH = 8
"""Pictures in a batch, as the service has them on a GPU."""
PREFERRED = (MAX_BATCH // 2, MAX_BATCH)
FORMED = (*range(1, MAX_BATCH // 2 + 1), MAX_BATCH)
"""The batches that Triton's batcher makes of single pictures: those of more than a preferred size
are cut down to it."""
TIMEOUT, QUEUE = 30, 256
"""Seconds that a request may wait, and requests that may; the service's own defaults."""
LABELS_FILE = "labels.txt"


def config_text(name: str, about: About, outputs: Sequence[str]) -> str:
    """The configuration of a model.

    Args:
        name: of the model, and so of its folder.
        about: the file.
        outputs: those to offer, each uint8 [N, H, W].
    """
    return "\n".join(
        [
            f"name: {_quoted(name)}",
            'backend: "onnxruntime"',
            'platform: "onnxruntime_onnx"',
            f"max_batch_size: {MAX_BATCH}",
            'input { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }',
            *map(_output, outputs),
            "instance_group { kind: KIND_AUTO count: 1 }",
            _batching(),
            *(_warm_up(size, batch) for size in about.buckets for batch in FORMED),
            *_parameters(about),
            "response_cache { enable: false }",
            "",
        ]
    )


def _output(name: str) -> str:
    labels = f' label_filename: "{LABELS_FILE}"' if name == "mask" else ""
    return f'output {{ name: "{name}" data_type: TYPE_UINT8 dims: [ -1, -1 ]{labels} }}'


def _batching() -> str:
    return f"""dynamic_batching {{
  preferred_batch_size: {list(PREFERRED)}
  max_queue_delay_microseconds: 0
  default_queue_policy {{
    timeout_action: REJECT
    default_timeout_microseconds: {TIMEOUT * 1_000_000}
    allow_timeout_override: true
    max_queue_size: {QUEUE}
  }}
}}"""


def _warm_up(size: Size, batch: int) -> str:
    # Noise rather than zeros: the mask of a plain picture takes a short cut.
    height, width = size
    return f"""model_warmup {{
  name: "{batch} of {width}x{height}"
  batch_size: {batch}
  inputs {{
    key: "image"
    value {{ data_type: TYPE_UINT8 dims: [ {height}, {width}, 3 ] random_data: true }}
  }}
}}"""


def _parameters(about: About) -> list[str]:
    """For clients: what the service says under the same names."""
    values = {
        "labels": json.dumps(about.labels),
        "palette": json.dumps(about.palette),
        "licence": about.licence,
        "pad_value": str(about.pad_value),
        "buckets": json.dumps([{"width": w, "height": h} for h, w in about.buckets]),
    }
    return [
        f'parameters {{ key: "{key}" value {{ string_value: {_quoted(value)} }} }}'
        for key, value in values.items()
    ]


def _quoted(text: str) -> str:
    """A string of protobuf's text format; JSON's escapes are among its own."""
    return json.dumps(text, ensure_ascii=False)
