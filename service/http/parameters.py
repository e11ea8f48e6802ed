"""Wrong parameters in words: which one, what was given, and what is taken."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import quote

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.errors import InvalidParameter, RequestError
from service.http.lookup import find_pipeline
from service.numbers import number_in_words

NUMBERS = ("greater_than", "less_than", "finite_number", "float_", "int_")
"""How the kinds of errors begin that are about numbers."""
NAMED = 6
"""Classes of a model that are named as examples."""


async def refuse_repeated(request: Request) -> None:
    """Refuse a parameter that stands twice in a URL, of which only one would count.

    Raises:
        InvalidParameter: names it, and how several classes are written.
    """
    for name in request.query_params:
        values = request.query_params.getlist(name)
        if len(values) > 1:
            raise InvalidParameter(
                f"{name[:80]}: given {len(values)} times, and only one can count"
                + (f"; several stand in one: classes={','.join(values)[:80]}" * (name == "classes"))
            )


def explain(item: dict[str, Any], request: Request) -> str:
    """A sentence on one wrong parameter.

    Args:
        item: what pydantic says of it.
        request: it came with that.
    """
    name = str(item["loc"][-1])[:80]
    as_model, others = _fields(request)
    field = {**others, **as_model}.get(name)
    if item["type"] == "extra_forbidden":
        known = ", ".join(as_model)
        return f"{name}: there is no such parameter" + (f"; there are {known}" if known else "")
    if item["type"] == "missing":
        return f"{name}: must be given" + (_examples(request) if name == "classes" else "")
    given = repr(item.get("input"))[:40]
    if item["type"].startswith(NUMBERS) and field:
        return f"{name}: {given} is not a {_number(field)}"
    if item["type"] == "literal_error":
        return f"{name}: {given} is none of {item['ctx']['expected'].replace(chr(39), '')}"
    return f"{name}: {item['msg'].removeprefix('Value error, ')}"


def _fields(request: Request) -> tuple[dict[str, FieldInfo], dict[str, FieldInfo]]:
    """The parameters of a call: those that its URL takes as one model, and all others."""
    route = request.scope.get("route")
    as_model: dict[str, FieldInfo] = {}
    others: dict[str, FieldInfo] = {}
    if isinstance(route, APIRoute):
        call = route.dependant
        for field in (*call.query_params, *call.path_params, *call.header_params):
            kind = field.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                as_model |= kind.model_fields
            else:
                others[field.alias] = field.field_info
    return as_model, others


def _number(field: FieldInfo) -> str:
    kinds = (field.annotation, *get_args(field.annotation))
    return number_in_words(field, int if int in kinds else float)


def _examples(request: Request) -> str:
    """What could be given as classes, where it is known which model is meant."""
    try:
        card = find_pipeline(request, request.query_params.get("model")).engine.card
    except RequestError:
        return ""
    labels = [name for index, name in enumerate(card.labels) if index != card.ignored_id]
    more = " and more" if len(labels) > NAMED else ""
    return (
        f", as in {request.url.path}?classes={quote(labels[0])}; {card.name} has "
        f"{', '.join(labels[:NAMED])}{more}"
    )
