"""Settings with some of them changed: by keyword from Python, by `--set key=value` from the command line."""

import ast
import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, get_origin, get_type_hints
from warnings import catch_warnings, simplefilter

from rp_tutorial.core.arguments import InputError, refuse

INNER = "__"  # attack__patience is the patience inside the setting attack


def overridden(settings: Any, changes: Mapping[str, Any]) -> Any:
    """`settings`, a frozen dataclass, with `changes` by name, checked against the types of its fields.

    A value may be of the field's type or the text of it: "0.1", "0.1,0.2", "None". Raises InputError, one line.
    """
    hints = get_type_hints(type(settings))
    changed = {}
    for name, value in changes.items():
        outer, reaches_in, inner = name.partition(INNER)
        if outer not in hints or outer == "device":
            raise refuse("set", name, "one of " + ", ".join(field for field in hints if field != "device"))
        if reaches_in:
            within = getattr(settings, outer)
            if not dataclasses.is_dataclass(within):
                raise refuse("set", name, f"{outer} itself: it has no settings inside")
            changed[outer] = overridden(changed.get(outer, within), {inner: value})
        else:
            changed[name] = _checked(name, hints[name], value)
    return dataclasses.replace(settings, **changed)


def parsed(assignments: list[str]) -> dict[str, str]:
    """The changes behind the texts "key=value" of a command line."""
    pairs = [text.partition("=") for text in assignments]
    for text, (key, equals, _) in zip(assignments, pairs, strict=True):
        if not equals or not key.strip():
            raise refuse("set", text, "key=value")
    return {key.strip().replace(".", INNER): value for key, _, value in pairs}


def _checked(name: str, hint: Any, value: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter, ValidationError  # a run without changes needs none of it

    if isinstance(value, str):  # a number, a tuple, True, None, or else the text itself
        with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError), catch_warnings():
            simplefilter("ignore")  # what Python thinks of a text that may be no Python
            value = ast.literal_eval(value.strip())
    if get_origin(hint) is tuple and not isinstance(value, list | tuple):
        value = (value,)
    # Settings are finite; a dataclass sees to that itself.
    config = None if dataclasses.is_dataclass(hint) else ConfigDict(allow_inf_nan=False)
    try:
        return TypeAdapter(hint, config=config).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"set: got {name} = {value!r}; {first['msg'].lower()}") from None
