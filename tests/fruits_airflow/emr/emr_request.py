"""Checks a request against AWS's service model: unknown and missing fields, types, lengths and enums."""

from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator


def problems(operation: str, request: dict[str, Any]) -> list[str]:
    """Return what EMR's API would refuse in `request`."""
    shape = botocore.session.get_session().get_service_model("emr").operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    return [line for line in report.generate_report().splitlines() if line] + list(_wrong_enums(request, shape, operation))


def _wrong_enums(value: Any, shape: Shape, place: str) -> list[str]:
    """Botocore itself does not look at enums."""
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        return [f"{place} is {value!r}; expected one of {', '.join(shape.enum)}"]
    if isinstance(shape, StructureShape):
        known = [name for name in value if name in shape.members]
        return [line for name in known for line in _wrong_enums(value[name], shape.members[name], f"{place}.{name}")]
    if isinstance(shape, ListShape):
        return [line for item in value for line in _wrong_enums(item, shape.member, f"{place}[]")]
    if isinstance(shape, MapShape):
        return [line for item in value.values() for line in _wrong_enums(item, shape.value, f"{place}{{}}")]
    return []
