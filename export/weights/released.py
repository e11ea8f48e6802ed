"""Models that others have released: the table, and from an address to a served file."""

from __future__ import annotations

import dataclasses
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked

from export.data.pictures import some_pictures
from export.download import download
from export.errors import UserError
from export.graph.to_onnx import export_onnx, require_name
from export.toml_file import read_toml, validated
from export.weights.data_sets import DATA_SETS, DataSet
from export.weights.tensorflow import import_tensorflow
from export.weights.tflite import TfliteOptions, import_tflite

TABLE = Path(__file__).with_name("released.toml")
LARGEST = 2_000_000_000
"""Bytes that a checkpoint may unpack to; the largest released archives have 0.5 GB."""


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Released:
    """A row of the table."""

    what: str
    """One line for the list."""
    address: str
    licence: str
    """Of the weights, and what is known of the pictures that they were trained on."""
    trained_on: str
    classes: Literal["voc", "cityscapes", "ade20k"] = "voc"
    """Data set whose classes it tells apart."""
    sha256: str | None = None
    """None where nobody has written it down."""
    published: str | None = None
    """Quality as those who trained it state it, and where."""

    @property
    def file_name(self) -> str:
        return self.address.rsplit("/", 1)[-1]

    @property
    def data(self) -> DataSet:
        """What it was trained on, with its own licence."""
        known = DATA_SETS[self.classes]
        labels = dataclasses.replace(
            known.labels, licence=self.licence, data=self.trained_on, remap=()
        )
        return known._replace(name=self.trained_on, labels=labels)


def read_table(path: Path = TABLE) -> dict[str, Released]:
    """The released models by name.

    Raises:
        UserError: the file cannot be read or is no such table.
    """
    return validated(dict[str, Released], read_toml(path, "table"), path)


def pull(
    name: str, released: Released, out: Path, pictures: Path, sha256: str | None = None
) -> str:
    """Download, convert into a checkpoint, export as an ONNX file.

    Args:
        name: what the service calls the model.
        released: its row.
        out: the ONNX file to write; the downloaded file and the checkpoint go beside it.
        pictures: folder of pictures that the conversion and the export are checked on.
        sha256: checksum to use instead of the row's.

    Returns:
        What was written, how well it agrees, and what was published of it.

    Raises:
        UserError: a step failed; the message says which and why.
    """
    require_name(name)
    if out.suffix != ".onnx":
        raise UserError(f"{out} does not end in .onnx; the checkpoint goes beside it by itself")
    suffix = next((s for s in CONVERTERS if released.file_name.endswith(s)), None)
    if suffix is None:
        raise UserError(
            f"{released.address} is of no kind that can be converted; those are "
            f"{', '.join(CONVERTERS)}"
        )
    wanted = sha256.lower() if sha256 else released.sha256
    original = out.with_name(released.file_name)
    found = download(released.address, original, wanted)
    verified = "as it should be" if wanted else "not verified: the table has none to compare with"
    checkpoint = out.with_suffix(".safetensors")
    imported = CONVERTERS[suffix](original, checkpoint, released, pictures)
    exported = export_onnx(
        checkpoint, out, some_pictures(pictures), name=name, published=released.published
    )
    lines = [f"{original}: SHA-256 {found}, {verified}", imported, str(exported)]
    if released.published is not None:
        lines.append(f"published: {released.published}")
    lines.append(f"licence: {released.licence}")
    return "\n".join(lines)


def _tflite(original: Path, checkpoint: Path, released: Released, pictures: Path) -> str:
    options = TfliteOptions(
        pictures=pictures, labels=released.data.labels, dataset=released.trained_on
    )
    return import_tflite(original, checkpoint, options)


def _archive(original: Path, checkpoint: Path, released: Released, _: Path) -> str:
    """The TensorFlow checkpoint in a .tar.gz; what else is in there, such as a graph, is left."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(original, "r:gz") as archive:
                members = [
                    member
                    for member in archive.getmembers()
                    if ".ckpt" in Path(member.name).name and member.isfile()
                ]
                if (size := sum(member.size for member in members)) > LARGEST:
                    raise UserError(
                        f"{original} would unpack to {size} bytes, more than any released model"
                    )
                for member in members:
                    # Without folders, so that no name can lead out of this one.
                    member.name = Path(member.name).name
                    archive.extract(member, folder, filter="data")
        except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
            raise UserError(
                f"{original} cannot be unpacked ({error}); download it again"
            ) from error
        indices = sorted(Path(folder).glob("*.index"))
        if len(indices) != 1:
            raise UserError(f"{original} holds {len(indices)} checkpoints; one was expected")
        said = import_tensorflow(indices[0], checkpoint, released.data)
        return said.replace(str(indices[0].with_suffix("")), indices[0].stem)


Converter = Callable[[Path, Path, Released, Path], str]
"""From a downloaded file to a checkpoint, with its row and pictures to check on."""
CONVERTERS: dict[str, Converter] = {".tflite": _tflite, ".tar.gz": _archive}
"""By the ending of the file's name."""
