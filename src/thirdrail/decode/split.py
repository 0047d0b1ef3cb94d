"""A message's bytes → its header fields and the place of each entity, without parsing them.

A protobuf message is the concatenation of its fields, so header fields plus any run of entities is a message
of its own. Only the plainest top level is taken apart: tags of one byte, lengths that fit. Anything else is
left to the strict parser in one piece.
"""

from typing import NamedTuple

_HEADER_TAG, _ENTITY_TAG = 0x0A, 0x12
_LENGTH_BYTES, _SEVEN_BITS = 5, 0x7F


class Parts(NamedTuple):
    """Header fields as bytes, and ``[start, end)`` of each entity with its tag and length."""

    header: bytes
    entities: list[tuple[int, int]]

    def cut(self, body: bytes, first: int, last: int) -> bytes:
        """Give the message of the entities ``first`` to ``last - 1`` under this header."""
        places = self.entities[first:last]
        if places and self.entities[0][0] == len(self.header):
            return self.header + body[places[0][0] : places[-1][1]]
        return self.header + b"".join(body[start:end] for start, end in places)


def split(body: bytes) -> Parts | None:
    """Give the parts of a message; None when its top level is not of the plainest form."""
    headers: list[bytes] = []
    entities: list[tuple[int, int]] = []
    position, end = 0, len(body)
    while position < end:
        start, tag = position, body[position]
        position += 1
        length = shift = 0
        while True:
            if position >= end or shift >= 7 * _LENGTH_BYTES:
                return None
            byte = body[position]
            position += 1
            length |= (byte & _SEVEN_BITS) << shift
            if byte <= _SEVEN_BITS:
                break
            shift += 7
        position += length
        if position > end:
            return None
        if tag == _ENTITY_TAG:
            entities.append((start, position))
        elif tag == _HEADER_TAG:
            headers.append(body[start:position])
        else:
            return None
    return Parts(b"".join(headers), entities)
