"""Reading ptars' nested arrays: fields by path, lists by parent and place. No loop over rows."""

import pyarrow as pa
import pyarrow.compute as pc

Paths = dict[str, tuple[str, ...]]
"""Column name → path of the field inside the struct."""

Place = dict[str, pa.Array]
"""Where each row of a struct array comes from: ``message_index``, ``entity_ordinal``, ``entity_id``, ``is_deleted``."""


class Nested:
    """A struct array whose fields are fetched by path, each struct flattened once."""

    def __init__(self, array: pa.StructArray) -> None:
        self._array = array
        names = [array.type.field(place).name for place in range(array.type.num_fields)]
        self._fields = dict(zip(names, array.flatten(), strict=True))
        self._inner: dict[str, Nested] = {}

    def get(self, path: tuple[str, ...]) -> pa.Array:
        """Give the field at the path; null wherever a struct on the way is."""
        first, *rest = path
        if not rest:
            return self._fields[first]
        if first not in self._inner:
            self._inner[first] = Nested(self._fields[first])
        return self._inner[first].get(tuple(rest))

    def columns(self, paths: Paths) -> dict[str, pa.Array]:
        """Give several fields by their column names."""
        return {name: self.get(path) for name, path in paths.items()}


def int32(array: pa.Array) -> pa.Array:
    """Give the array as int32."""
    return array.cast(pa.int32())


def counter(lists: pa.Array, parents: pa.Array) -> pa.Array:
    """Give the place of each list value in its list."""
    total = len(parents)
    starts = pc.subtract(lists.offsets, lists.offsets[0]).slice(0, len(lists))
    return int32(pc.subtract(_range(total), starts.cast(pa.int64()).take(parents)))


def _range(length: int) -> pa.Array:
    return pc.subtract(pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), length)), 1)
