"""Memory that was freed goes back to the system, so that what one visitor had worked out weighs on nobody after."""

from __future__ import annotations

import contextlib
import ctypes

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # glibc's malloc.h
APART_BYTES = 128 << 10  # what is larger is asked of the system by itself and goes back when it is freed
ARENAS = 2


def give_memory_back() -> bool:
    """Pins two settings of glibc's allocator; nothing with another. Returns whether it took them.

    Of itself it raises the first to as much as 32 MB after a large block was freed, and keeps a heap for each of up to
    eight threads a core; both then hold what no one uses.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(M_MMAP_THRESHOLD, APART_BYTES)) and bool(mallopt(M_ARENA_MAX, ARENAS))
    return False


def trim() -> None:
    """Gives back the free pages within the heaps, which glibc keeps as long as anything above them lives; 4 ms.

    Of every five questions of 2 s each they came to some 100 MB, which five later ones might use again or not.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
