"""File mode: what the client uploads to its stage, and how the server reads it again.

The client encrypts NDJSON, compressed with zstd, by AES-256-CTR with the pipe's key and the fragment's own IV, and
uploads it in AWS's chunked framing (found by experiment with version 1.9.1).
"""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def unframed(body: bytes) -> bytes:
    """Give an upload without its chunks' heads: lines of a hexadecimal size, then so many bytes; 0 ends it."""
    data: list[bytes] = []
    position = 0
    while True:
        end = body.index(b"\r\n", position)
        size = int(body[position:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(data)
        data.append(body[end + 2 : end + 2 + size])
        position = end + 2 + size + 2


class Stage:
    """Uploaded objects, in a folder."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder, self.key = folder, key

    def put(self, name: str, body: bytes, *, is_chunked: bool) -> None:
        """Keep an object."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(unframed(body) if is_chunked else body)

    def fragment(self, name: str, start: int, length: int, iv_base64: str) -> bytes:
        """Give a fragment of an object, decrypted: NDJSON under zstd."""
        encrypted = self._path(name).read_bytes()[start : start + length]
        reader = Cipher(algorithms.AES(self.key), modes.CTR(base64.b64decode(iv_base64))).decryptor()
        return reader.update(encrypted) + reader.finalize()

    def _path(self, name: str) -> Path:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise ValueError(f"{name} leads out of the stage")
        return path
