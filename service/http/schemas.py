"""The JSON answers."""

from __future__ import annotations

from pydantic import BaseModel

from service.contract import Colour, ModelCard

Point = tuple[float, float]


class Size(BaseModel):
    width: int
    height: int


class Box(BaseModel):
    """Smallest box around a class, in pixels of the picture."""

    x: int
    y: int
    width: int
    height: int


class RunLengths(BaseModel):
    """COCO's uncompressed run lengths: column-major, starting with pixels outside."""

    size: tuple[int, int]
    """Height and width."""
    counts: list[int]


class CompressedRunLengths(BaseModel):
    """The same as the text that COCO's tools take."""

    size: tuple[int, int]
    counts: str


class Region(BaseModel):
    """A connected region: outline and holes as (x, y) in pixels of the picture."""

    exterior: list[Point]
    holes: list[list[Point]]


class Segment(BaseModel):
    """One class that is present."""

    id: int
    name: str
    colour: Colour
    pixels: int
    fraction: float
    """Of the picture's pixels; all sum to 1 unless some became the ignored id."""
    confidence: float | None = None
    """Mean probability of the class where it was chosen; told if `confidence` was given."""
    box: Box
    rle: RunLengths | None = None
    coco: CompressedRunLengths | None = None
    polygons: list[Region] | None = None


class Segments(BaseModel):
    """What is where in a picture."""

    image: Size
    model: str
    segments: list[Segment]


class Placed(BaseModel):
    """How the model is spread over the machine."""

    sessions: int
    """Batches that are computed at the same time."""
    threads: int
    """Threads of each on a CPU."""
    alone_threads: int
    """Threads of one that has the machine for itself."""
    max_batch: int
    """Pictures of each at most."""


class Model(ModelCard):
    """A loaded model."""

    version: int
    """Which one of the files of its name it is."""
    digest: str
    """The first twelve digits of the file's SHA-256."""
    provider: str
    """What it really runs on: "cpu", "openvino", "cuda" or "tensorrt"."""
    memory_bytes: int
    """What the process grew by when it was loaded and warmed; a rough figure under load."""
    buckets: list[Size]
    """The sizes that pictures are scaled and padded to."""
    placement: Placed | None
    """Absent while it is being measured."""
    confidence: bool
    """Whether it can tell how sure it is."""


class Failed(BaseModel):
    """A model file that could not be loaded."""

    name: str
    version: int
    detail: str


class Models(BaseModel):
    models: list[Model]
    failed: list[Failed]
    """Files of the folder of models that could not be loaded."""


class Health(BaseModel):
    status: str
    provider: str
