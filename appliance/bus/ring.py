"""The last blocks of ready bytes of an audience, for those who are a little behind.

Pure. Blocks are numbered; `base` is the oldest kept, `head` the number the next one will get.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

__all__ = ["Block", "Ring"]


class Block(NamedTuple):
    data: bytes
    last: int  # global position of its last event


class Ring:
    """Blocks by number. `size` is what they hold together, in bytes; `blocks` bounds how many there are."""

    def __init__(self, blocks: int = 4096) -> None:
        self._blocks: deque[Block] = deque()
        self._most = blocks
        self.base = 0
        self.size = 0  # bytes

    @property
    def head(self) -> int:
        return self.base + len(self._blocks)

    def push(self, block: Block, limit: int) -> None:
        """Add the newest; the oldest go when there are too many, or more than `limit` bytes. One always stays."""
        self._blocks.append(block)
        self.size += len(block.data)
        while len(self._blocks) > 1 and (len(self._blocks) > self._most or self.size > limit):
            self.size -= len(self._blocks.popleft().data)
            self.base += 1

    def since(self, number: int, most: int = 1 << 62) -> tuple[bytes, int, int]:
        """Blocks from `number` on, joined, up to about `most` bytes.

        Returns:
            the bytes, the number to go on from, and the global position they reach.

        Raises:
            LookupError: `number` is no longer here.
        """
        if number < self.base:
            raise LookupError(number)
        parts: list[bytes] = []
        size = last = 0
        for index in range(number - self.base, len(self._blocks)):
            block = self._blocks[index]
            parts.append(block.data)
            size, last, number = size + len(block.data), block.last, number + 1
            if size >= most:
                break
        return (parts[0] if len(parts) == 1 else b"".join(parts)), number, last
