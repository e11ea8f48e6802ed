"""What a labelling configuration asks for: which labels, painted on which picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from service.errors import InvalidParameter

MAX_LENGTH = 2**18
"""Characters; its XML is read while nobody else is served."""


class Target(NamedTuple):
    """A brush of the configuration and the picture under it."""

    from_name: str
    """Name of the `BrushLabels` tag."""
    to_name: str
    """Name of its `Image` tag."""
    key: str
    """What the picture is called in the data of a task."""
    labels: dict[int, str]
    """The configuration's spelling of each class that both know, by id."""


def read_target(xml: str, model_labels: Sequence[str]) -> Target:
    """The first brush of a configuration whose picture comes from a task's data.

    Args:
        xml: the labelling configuration.
        model_labels: the model's name of each class id.

    Raises:
        InvalidParameter: it is not XML, has no such brush, or none of the model's labels.
    """
    root = _parse(xml)
    images = {tag.get("name"): tag.get("value", "") for tag in root.iter("Image")}
    for brush in root.iter("BrushLabels"):
        from_name, to_name = brush.get("name"), brush.get("toName")
        value = images.get(to_name, "")
        if from_name and to_name and value.startswith("$"):
            labels = _matched(brush, model_labels)
            return Target(from_name, to_name, value[1:], labels)
    raise InvalidParameter(
        "the labelling configuration has no <BrushLabels name=... toName=...> whose toName is the "
        'name of an <Image value="$...">'
    )


def _parse(xml: str) -> Element:
    if len(xml) > MAX_LENGTH:
        raise InvalidParameter(
            f"the labelling configuration is longer than the limit of {MAX_LENGTH} characters"
        )
    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise InvalidParameter(f"the labelling configuration cannot be read: {error}") from error
    return root


def _matched(brush: Element, model_labels: Sequence[str]) -> dict[int, str]:
    """The brush's labels that the model has too, whatever their case."""
    spelt = {value.casefold(): value for tag in brush.iter("Label") if (value := tag.get("value"))}
    found = {
        index: spelt[name.casefold()]
        for index, name in enumerate(model_labels)
        if name.casefold() in spelt
    }
    if not found:
        raise InvalidParameter(
            "the model has none of the labels of <BrushLabels>; it has: " + ", ".join(model_labels)
        )
    return found
