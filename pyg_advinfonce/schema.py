"""Checks of data from outside: JSON files against a schema, sections of settings."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from pyg_advinfonce.errors import AdvInfoNCEError, CheckpointError, ConfigError
from pyg_advinfonce.files import read_bytes

MAX_BYTES = 2**28
MOST = 1e100  # the mean and the standard deviation of such numbers are finite

Number = Annotated[float, Field(ge=-MOST, le=MOST)]
"""A finite number of moderate size."""

Real = Annotated[float, Field(allow_inf_nan=True)]
"""A number that may be infinite or NaN."""

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A whole number, exact as a float."""


class FileData(BaseModel):
    """Base class of the schemas of files: exact types and finite numbers.

    Keys that a schema does not have, e.g. of a later version, are ignored.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def read_json(
    path: Path, schema: type[Model], error: type[AdvInfoNCEError] = CheckpointError
) -> Model:
    """Read a JSON file.

    Args:
        path: The file.
        schema: The schema of its content.
        error: The class of the error.

    Raises:
        AdvInfoNCEError: If the file cannot be read or its content differs from the
            schema; the message names the file and the key.
    """
    return parse_json(str(path), read_bytes(path, MAX_BYTES, error), schema, error)


def parse_json(
    name: str,
    content: str | bytes,
    schema: type[Model],
    error: type[AdvInfoNCEError] = CheckpointError,
) -> Model:
    """Parse JSON as :func:`read_json` does; ``name`` is the content's in messages."""
    with _damage(name, error):
        return schema.model_validate_json(content)


def check_values(
    name: str,
    values: object,
    schema: type[Model],
    error: type[AdvInfoNCEError] = CheckpointError,
) -> Model:
    """Check parsed values as :func:`read_json` does; ``name`` is theirs in messages."""
    with _damage(name, error):
        return schema.model_validate(values)


@contextmanager
def _damage(name: str, error: type[AdvInfoNCEError]) -> Iterator[None]:
    """Turn what a schema finds into one line."""
    try:
        yield
    except ValidationError as found:
        raise error(f"{name} is damaged: {first_problem(found)}") from None


def first_problem(error: ValidationError) -> str:
    """Return the first problem in one line, with the key."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "missing":
            return f"it has no '{where}'"
        case "model_type" if not where:
            return "expected a JSON object"
        case "json_invalid":
            return str(first["msg"])
    said = first["msg"].lower()
    return f"{where}: {said} (got {first['input']!r:.80})".removeprefix(": ")


def check_options(
    section: str,
    targets: Sequence[Callable[..., Any]],
    options: Mapping[str, Any],
    *,
    given: Collection[str] = (),
) -> dict[str, Any]:
    """Check a section against the keyword arguments of what it configures.

    Args:
        section: The section's name, for the message.
        targets: Classes or functions. If several have the same argument, the
            annotation in the last of them counts.
        options: The section's keys without its name.
        given: Arguments that are not keys of the section, since other code sets them.

    Returns:
        The options, converted to the annotated types.

    Raises:
        ConfigError: If a key is unknown or a value has the wrong type.
    """
    fields: dict[str, Any] = {}
    for target in targets:
        function = target.__init__ if inspect.isclass(target) else target
        hints: Mapping[str, Any] = {}
        with suppress(Exception):  # annotations may name imports under TYPE_CHECKING
            hints = inspect.get_annotations(function, eval_str=True)
        fields |= {
            name: (hints.get(name, Any), None)
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is not parameter.empty
            and name not in given
            and not name.startswith("_")
        }
    settings = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
    model = create_model(section, __config__=settings, **fields)
    found = validate(section, model, dict(options))
    return {name: getattr(found, name) for name in options}


@contextmanager
def naming(section: str, *targets: Callable[..., Any]) -> Iterator[None]:
    """Turn a constructor's error about ``tau`` into an error about ``loss.tau``.

    Args:
        section: The section that configures it, e.g. ``loss``.
        *targets: The constructor, and others that it calls.

    Raises:
        ConfigError: If the constructor raises a ``ValueError`` of its own.
    """
    try:
        yield
    except AdvInfoNCEError:
        raise
    except ValueError as error:
        message = str(error)
        known = [
            key for target in targets for key in inspect.signature(target).parameters
        ]
        joint = "." if message.split(" ")[0] in known else ": "
        raise ConfigError(f"{section}{joint}{message}") from error


def validate(section: str, model: type[Model], values: dict[str, Any]) -> Model:
    """Validate a section's values.

    Raises:
        ConfigError: If a key is unknown or a value invalid; the message names the key.
    """
    for key in values:
        if key not in model.model_fields:
            raise _unknown_key(section, key, model.model_fields)
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError(f"{section}.{first_problem(error)}") from error


def _unknown_key(section: str, key: str, known: Iterable[str]) -> ConfigError:
    names = list(known)
    close = get_close_matches(key, names, n=1, cutoff=0.5)
    hint = f", did you mean '{section}.{close[0]}'?" if close else ";"
    keys = ", ".join(names) or "no keys in this run"
    return ConfigError(f"unknown key '{section}.{key}'{hint} [{section}] has {keys}")
