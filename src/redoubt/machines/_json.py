"""JSON as machines write it: often nearly right.

`decode_json` takes the fast path for right JSON and mends the rest: replies end in NUL, objects
follow each other without a comma (`}{`), commas trail or double, numbers are `nan` or `inf`, and
control characters stand in strings. Nothing is guessed beyond that: a reply cut short is an error.
Only replies of a usual size are mended: a long one would hold up the readings of other machines.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

_PIECE = re.compile(
    r"""
    (?P<string>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))   # also one cut short, so that no quote is read twice
  | (?P<joined>(?<=[}\]])\s*+(?=[{\[]))
  | (?P<comma>,[\s,]*+(?P<close>[}\]])?)
  | (?P<number>-?\b(?:nan|inf(?:inity)?)\b)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
MAX_MENDED_BYTES = 64 * 1024
"""Over twice the longest reply in the corpus of miners' replies."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def decode_json(body: bytes) -> Any:
    """Return the document in `body`. Raises ValueError where there is none, or it is cut short."""
    try:
        return msgspec.json.decode(body[:-1] if body.endswith(b"\0") else body)
    except (ValueError, RecursionError) as exc:
        if len(body) > MAX_MENDED_BYTES:
            raise ValueError(f"{len(body)} bytes that are no JSON: {exc}") from exc
    return _decode_mended(body)


def _decode_mended(body: bytes) -> Any:
    text = _CONTROL.sub("", body.decode("utf-8", "replace")).strip()
    mended = _PIECE.sub(_mend, text)
    try:
        document, _end = json.JSONDecoder(strict=False).raw_decode(mended)
    except RecursionError as exc:
        raise ValueError("reply is nested too deeply") from exc
    return document


def _mend(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "string":
            return match.group()
        case "joined":
            return ","
        case "number":
            return "null"
        case _:
            return match.group("close") or ","
