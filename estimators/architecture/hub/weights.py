"""The headers of safetensors files, read from their fronts alone.

A file starts with the length of its header, 8 bytes little-endian, then the header itself as JSON
(https://huggingface.co/docs/safetensors, format section).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

FIRST_BYTES = 100_000  # holds the header of 97 % of files, says huggingface_hub (parse_safetensors_file_metadata)
MAX_HEADER_BYTES = 25_000_000  # the limit of huggingface_hub (constants.SAFETENSORS_MAX_HEADER_LENGTH)
AT_ONCE = 8

Front = Callable[[str, int], bytes]  # (file name, n) -> its first n bytes, fewer when it ends before


class BadHeader(ValueError):
    """A weight file whose front is not that of a safetensors file."""


def read_headers(names: Sequence[str], front: Front) -> dict[str, bytes]:
    """The JSON header of each file, several files at once."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hub-header") as pool:
        return dict(zip(names, pool.map(lambda name: read_header(name, front), names), strict=True))


def read_header(name: str, front: Front) -> bytes:
    """The JSON header of one file: one read, or two when the header is longer than the first."""
    start = front(name, FIRST_BYTES)
    if len(start) < 8:
        raise BadHeader(f"{name} ends before its header")
    length = int.from_bytes(start[:8], "little")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise BadHeader(f"{name} claims a header of {length} bytes")
    if 8 + length > len(start):
        start = front(name, 8 + length)
    if 8 + length > len(start):
        raise BadHeader(f"{name} ends inside its header")
    return start[8 : 8 + length]
