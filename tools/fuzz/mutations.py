"""Inputs made wrong at random: bytes, values of JSON, and names; each follows from the generator alone.

What is changed most often is what readers trip over: numbers, separators, quotes, lengths, kinds of value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from numpy.random import Generator

Item = TypeVar("Item")
WORD = re.compile(rb"[\w.+-]+")
TOKENS = (
    b"", b"\0", b"\n", b"\r", b"\r\n", b",", b";", b"\t", b" ", b'"', b"'", b"=", b".", b"..", b"/", b"[", b"{", b"(",
    b")", b"-", b"#", b"0", b"-1", b"1", b"2.5", b"1e400", b"-1e-400", b"nan", b"inf", b"NA", b"None", b"True",
    b"9" * 19, b"9" * 400, b"0x10", b"1_0", b"\xff\xfe", b"\xef\xbb\xbf", "\u2028".encode(), "\u0662".encode(), b"\x85",
    b"<script>|", b"=cmd", b"%s", b"[" * 300, b"-" * 3000, b"\x1b[2J",
)  # fmt: skip
VALUES = (
    None, True, False, 0, 1, -1, 2, 10**19, -(10**400), 0.5, -0.5, 1e308, float("inf"), float("nan"), "", "x", "1",
    "nan", "<script>|", "=cmd\n", "a\u2028b", [], {}, [None], [[]], [1], [1, 2], {"a": 1}, {"": []},
)  # fmt: skip


def one_of(items: Sequence[Item], rng: Generator) -> Item:
    return items[int(rng.integers(len(items)))]


def mutated(content: bytes, rng: Generator, *, most: int = 3) -> bytes:
    """`content` after one to `most` changes."""
    for _ in range(int(rng.integers(1, most + 1))):
        content = _changed(content, rng)
    return content


def mutated_text(text: str, rng: Generator, *, most: int = 3) -> str:
    """The same of a text, which may come out as one that no encoding can write."""
    return mutated(text.encode("utf-8", "surrogateescape"), rng, most=most).decode("utf-8", "surrogateescape")


def mutated_value(value: Any, rng: Generator) -> Any:
    """`value`, of dicts, lists and leaves, with one of its parts changed, left out or doubled; nothing is shared."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or rng.random() < 0.05:
        return mutated_text(value, rng) if isinstance(value, str) and rng.random() < 0.5 else one_of(VALUES, rng)
    key, how, value = one_of(keys, rng), rng.random(), value.copy()
    if how < 0.1:
        del value[key]
    elif how < 0.15 and isinstance(value, dict):
        value[mutated_text(str(key), rng)] = value.pop(key)
    elif how < 0.15:
        value.insert(key, value[key])
    elif how < 0.2:
        value[key] = value[one_of(keys, rng)]
    else:
        value[key] = mutated_value(value[key], rng)
    return value


def _changed(content: bytes, rng: Generator) -> bytes:
    """One change: of a bit, of a word, or of a span of up to 256 bytes."""
    start, how = int(rng.integers(len(content) + 1)), int(rng.integers(8))
    end = min(len(content), start + int(rng.integers(1, 2 ** int(rng.integers(1, 9)))))
    if how == 0 and start < len(content):
        return content[:start] + bytes([content[start] ^ 1 << int(rng.integers(8))]) + content[start + 1 :]
    if how in (1, 2, 3) and (word := WORD.search(content, start)):
        return content[: word.start()] + one_of(TOKENS, rng) + content[word.end() :]
    if how == 4:
        return content[:start] + one_of(TOKENS, rng) + content[start:]
    if how == 5:
        return content[:start] + content[end:]
    if how == 6:
        return content[:end] + content[start:]
    place = int(rng.integers(len(content) + 1))
    return (
        content[:place] if place < end or rng.random() < 0.2 else content[:place] + content[start:end] + content[place:]
    )
