"""How a batch's body is packed: its plain length in four bytes, then zstd.

The length stands in front so that it is checked before anything is unpacked. Arrow can compress
buffers by itself and unpacks them before their size can be asked for; a body of 42 KB became
1.2 GB that way. So streams are plain inside the packing, and one that is not is refused unread.
"""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

from redoubt.model.errors import RemoteProtocolError

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The most that one batch may weigh as it travels."""
MAX_PLAIN_BYTES = 32 * 1024 * 1024
"""The most that one batch may weigh unpacked: 200,000 samples are 25 MB."""
MAX_MESSAGES = 1_000
"""Of one Arrow stream: ours has one for its schema, one for its rows, one for each text column."""
LENGTH_BYTES = 4

_ZSTD_LEVEL = 3
_zstd: Any = pa.Codec("zstd", compression_level=_ZSTD_LEVEL)

# Places of fields in Arrow's flatbuffers, from Message.fbs of its format.
_MESSAGE_HEADER = 2
_MESSAGE_CUSTOM_METADATA = 4
_DICTIONARY_DATA = 1
_RECORD_BATCH_COMPRESSION = 3


def pack(plain: bytes) -> bytes:
    packed: bytes = _zstd.compress(plain, asbytes=True)
    return len(plain).to_bytes(LENGTH_BYTES, "little") + packed


def unpack(body: bytes) -> bytes:
    """Return what was packed; RemoteProtocolError where it is broken or larger than may be."""
    check_body_size(body)
    size = plain_size(body[:LENGTH_BYTES])
    if size > MAX_PLAIN_BYTES:
        raise RemoteProtocolError(f"batch of {size} bytes is over {MAX_PLAIN_BYTES}")
    try:
        plain: bytes = _zstd.decompress(body[LENGTH_BYTES:], decompressed_size=size, asbytes=True)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise RemoteProtocolError(f"batch cannot be unpacked: {exc}") from exc
    return plain


def plain_size(head: bytes) -> int:
    """Return the plain size in bytes that the first four bytes of a body claim."""
    return int.from_bytes(head, "little")


def check_body_size(body: bytes) -> None:
    """Raises RemoteProtocolError where a body is larger than a batch may be."""
    if len(body) > MAX_BODY_BYTES:
        raise RemoteProtocolError(f"batch of {len(body)} bytes is over {MAX_BODY_BYTES}")


def check_plain_stream(stream: bytes) -> None:
    """Raises RemoteProtocolError where an Arrow stream has compressed buffers or many messages."""
    try:
        for count, message in enumerate(pa.ipc.MessageReader.open_stream(stream)):
            if count >= MAX_MESSAGES:
                raise RemoteProtocolError(f"more than {MAX_MESSAGES} messages in a stream")
            if message.type != "schema" and _is_compressed(message):
                raise RemoteProtocolError("samples batch has compressed buffers")
    except (pa.ArrowException, OSError, ValueError, struct.error) as exc:
        raise RemoteProtocolError(f"samples batch cannot be read: {exc}") from exc


def _is_compressed(message: Any) -> bool:
    """Whether a message's body is compressed, in today's way or in that of Arrow before 1.0."""
    data = message.metadata.to_pybytes()
    root = _follow(data, 0)
    header = _follow(data, _field(data, root, _MESSAGE_HEADER))
    if message.type == "dictionary":
        header = _follow(data, _field(data, header, _DICTIONARY_DATA))
    has_metadata = _field(data, root, _MESSAGE_CUSTOM_METADATA) != 0
    return has_metadata or _field(data, header, _RECORD_BATCH_COMPRESSION) != 0


def _follow(data: bytes, place: int) -> int:
    """Return where the offset at `place` points."""
    (offset,) = struct.unpack_from("<I", data, place)
    return place + int(offset)


def _field(data: bytes, table: int, number: int) -> int:
    """Return where a table's field lies, 0 where it has none. Raises struct.error."""
    (back,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - back)
    entry = 4 + 2 * number
    if entry + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", data, table - back + entry)
    return table + int(offset) if offset else 0
