"""What a predicate computed on the way to its answer: its parts, and the numbers on both sides of every comparison.

For predicates that are lambdas without arguments in a file of tests: the source is read, and each part that is joined
by `and` is evaluated again on its own. Nothing here knows what the numbers mean.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MOST = 400  # characters of one line


def account(holds: Callable[[], Any]) -> str:
    """One line for every part of the predicate, those that are false marked, with the numbers that it compares."""
    names = dict(holds.__globals__)  # one namespace, so that what `:=` names in a part is known to the next
    return "\n".join(_part(part, names) for part in _joined(_body(holds)))


def _body(holds: Callable[[], Any]) -> ast.expr:
    """The body of the outermost lambda that begins on the line of the predicate."""
    lambdas = [node for node in ast.walk(_tree(holds.__code__.co_filename)) if isinstance(node, ast.Lambda)]
    begun = [node for node in lambdas if node.lineno == holds.__code__.co_firstlineno]
    return min(begun, key=lambda node: node.col_offset).body


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def _joined(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _joined(value)]
    return [node]


def _part(node: ast.expr, names: dict[str, Any]) -> str:
    said = ast.unparse(node)
    try:
        held = bool(_value(node, names))
        numbers = "; ".join(_numbers(node, names))
    except Exception as error:
        return f"  ERROR  {said}: {error!r}"
    return f"  {'true ' if held else 'FALSE'}  {said[:MOST]}\n         {numbers[:MOST]}"


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    return eval(compile(ast.Expression(ast.fix_missing_locations(node)), "<predicate>", "eval"), names)


def _numbers(node: ast.expr, names: dict[str, Any]) -> Iterator[str]:
    """Both sides of a comparison; of `all(... for ...)` those of every element; else the value itself."""
    if isinstance(node, ast.UnaryOp | ast.BoolOp):
        parts = [node.operand] if isinstance(node, ast.UnaryOp) else node.values
        for part in parts:
            yield from _numbers(part, names)
    elif isinstance(node, ast.Compare):
        yield _sides(node, [_value(side, names) for side in (node.left, *node.comparators)])
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.GeneratorExp):
        yield from _elements(node.args[0], names)
    elif isinstance(node, ast.Call):
        yield ", ".join(_short(_value(argument, names)) for argument in node.args) or _short(_value(node, names))
    else:
        yield _short(_value(node, names))


def _elements(made: ast.GeneratorExp, names: dict[str, Any]) -> Iterator[str]:
    compared = [node for node in _joined(made.elt) if isinstance(node, ast.Compare)]
    inner = [name for node in compared for name in (node.left, *node.comparators)]
    every = ast.ListComp(ast.Tuple(inner or [made.elt], ast.Load()), made.generators)
    for values in _value(every, names):
        if not inner:
            yield _short(values[0])
        for node in compared:
            count = 1 + len(node.comparators)
            yield _sides(node, values[:count])
            values = values[count:]


SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in",
         ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not"}  # fmt: skip


def _sides(node: ast.Compare, values: Any) -> str:
    signs = [SIGNS[type(sign)] for sign in node.ops]
    return " ".join(x for pair in zip(map(_short, values), [*signs, ""], strict=True) for x in pair).strip()


def _short(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, list | tuple | np.ndarray) and len(value) <= 12 and np.ndim(value) <= 1:
        return "[" + ", ".join(map(_short, value)) + "]"
    if isinstance(value, pd.Series):
        return _short(value.tolist()) if len(value) <= 12 else f"{len(value)} values"
    return " ".join(str(value).split())[:120]
