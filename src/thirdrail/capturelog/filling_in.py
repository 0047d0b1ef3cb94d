"""What every log fills into a record before it is kept; one definition for all of them."""

import hashlib

import msgspec

from thirdrail.model.records import Poll, Record


def filled_in(record: Record, body: bytes | None) -> Record:
    """Give the record with its body's digest (SHA-256, hex) and size in bytes.

    Raises:
        ValueError: a duplicate, which names its body, was given one of its own; or the record has another digest.
    """
    if body is None or not isinstance(record, Poll):
        return record
    if record.duplicate_of is not None:
        raise ValueError(f"a duplicate of offset {record.duplicate_of} carries no body of its own")
    digest = hashlib.sha256(body).hexdigest()
    if record.body_sha256 not in (None, digest):
        raise ValueError(f"the body's SHA-256 is {digest}, not {record.body_sha256} as the record says")
    return msgspec.structs.replace(record, body_sha256=digest, body_bytes=len(body))
