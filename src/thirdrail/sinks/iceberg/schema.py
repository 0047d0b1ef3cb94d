"""A Table's declaration → Iceberg schema, partition spec, sort order and properties."""

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import DayTransform, IdentityTransform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from thirdrail.errors import SchemaMismatch
from thirdrail.model.tables import Table

ELEMENT_IDS_FROM = 1_000
PARTITION_FIELD_ID = 1_000
KEPT_METADATA_FILES = 20
_TYPES: dict[str, IcebergType] = {
    "string": StringType(),
    "int": IntegerType(),
    "long": LongType(),
    "float": FloatType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
    "date": DateType(),
    "timestamptz": TimestamptzType(),
}
_WIDENED = {("int", "long"), ("float", "double")}
_BOUNDED = (
    *("capture_offset", "fetched_at", "feed_id", "route_id", "trip_key", "stop_id", "restored_by_offset"),
    *("sequence_number", "committed_at"),
)
"""Columns whose bounds lie in the manifests; bounds of every column would make a manifest four times as large."""


def iceberg_schema(table: Table) -> Schema:
    """Give the Iceberg schema of a new table: field ids count the columns from 1, list elements from 1,001."""
    fields = []
    for place, column in enumerate(table.columns, start=1):
        kind = (
            ListType(ELEMENT_IDS_FROM + place, StringType(), element_required=False)
            if column.type == "list<string>"
            else _TYPES[column.type]
        )
        fields.append(NestedField(place, column.name, kind, required=column.required, doc=column.meaning))
    return Schema(*fields)


def parquet_schema(table: Table, schema: Schema) -> pa.Schema:
    """Give the Arrow schema of a data file, with the field ids of the Iceberg table (it numbers elements itself)."""
    fields = []
    for column in table.columns:
        found = schema.find_field(column.name)
        field = column.arrow
        if isinstance(found.field_type, ListType):
            identifier = _field_id(found.field_type.element_id)
            element = pa.field("element", pa.large_string(), metadata=identifier)
            field = pa.field(column.name, pa.large_list(element), nullable=not column.required)
        fields.append(field.with_metadata(_field_id(found.field_id)))
    return pa.schema(fields)


def _field_id(number: int) -> dict[str, str]:
    return {"PARQUET:field_id": str(number)}


def partition_spec(table: Table) -> PartitionSpec:
    """Give the day alone (of ``fetched_at``): one file per commit instead of one per feed."""
    source = table.names().index(table.day) + 1
    return PartitionSpec(PartitionField(source, PARTITION_FIELD_ID, DayTransform(), f"{table.day}_day"))


def sort_order(table: Table) -> SortOrder:
    """Give the order in which rows lie in a file."""
    names = table.names()
    return SortOrder(*(SortField(names.index(name) + 1, IdentityTransform()) for name in table.sort))


def properties(table: Table) -> dict[str, str]:
    """Give the table's properties."""
    return {
        "write.parquet.compression-codec": "zstd",
        "write.parquet.compression-level": "3",
        "write.metadata.metrics.default": "counts",
        **{f"write.metadata.metrics.column.{name}": "truncate(40)" for name in _BOUNDED if name in table.names()},
        "write.metadata.previous-versions-max": str(KEPT_METADATA_FILES),
    }


def evolved(found: IcebergTable, table: Table) -> Schema | None:
    """Give the schema that a table must get to be as declared; None when it is.

    Columns are matched by name and keep their field ids; a table may gain columns that may be null and widen types
    (int to long, float to double: what Iceberg calls promotion), which leaves every file written so far readable.

    Raises:
        SchemaMismatch: it would take anything else, naming the first column that differs.
    """
    there = found.schema()
    fields = {field.name: field for field in there.fields}
    last = found.metadata.last_column_id
    for column in iceberg_schema(table).fields:
        old = fields.get(column.name)
        fields[column.name] = _new(table, column, last) if old is None else _kept(table, old, column)
        kind = fields[column.name].field_type
        last = max(last, fields[column.name].field_id, kind.element_id if isinstance(kind, ListType) else 0)
    for field in there.fields:
        if field.name not in table.names():
            raise _mismatch(table, f"it has a column {field.name} {field.field_type}, which this version does not know")
    if list(fields.values()) == list(there.fields):
        return None
    number = max(schema.schema_id for schema in found.metadata.schemas) + 1
    return Schema(*fields.values(), schema_id=number, identifier_field_ids=there.identifier_field_ids)


def _new(table: Table, column: NestedField, last: int) -> NestedField:
    """Give a column that comes to a table, with the field ids after the last."""
    if column.required:
        raise _mismatch(table, f"column {column.name} is missing and may not be null")
    kind = column.field_type
    if isinstance(kind, ListType):
        kind = ListType(last + 2, kind.element_type, element_required=False)
    return NestedField(last + 1, column.name, kind, required=False, doc=column.doc)


def _kept(table: Table, old: NestedField, column: NestedField) -> NestedField:
    """Give a column as it is, or widened."""
    is_alike = _kind(old.field_type) == _kind(column.field_type)
    if not is_alike and (str(old.field_type), str(column.field_type)) not in _WIDENED:
        raise _mismatch(table, f"column {column.name} should be {column.field_type}, but is {old.field_type}")
    if old.required != column.required:
        must, says = ("may not", "may") if column.required else ("may", "may not")
        raise _mismatch(table, f"column {column.name} {must} be null, but in the table it {says}")
    if is_alike:
        return old
    return NestedField(old.field_id, old.name, column.field_type, required=old.required, doc=old.doc)


def _kind(kind: IcebergType) -> str:
    """Give a type's name; of a list without its element's field id."""
    return f"list<{kind.element_type}>" if isinstance(kind, ListType) else str(kind)


def _mismatch(table: Table, what: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"{table.name}: {what}",
        hint="use the version that made this table, or a new data folder: `captures export` here, `replay` there",
    )
