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
_BOUNDED = ("capture_offset", "fetched_at", "feed_id", "route_id", "trip_key", "stop_id", "restored_by_offset")
"""Columns whose bounds lie in the manifests; bounds of every column would make a manifest four times as large."""


def iceberg_schema(table: Table) -> Schema:
    """Give the Iceberg schema: field ids count the columns from 1, list elements from 1,001."""
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
    """Give ``day(fetched_at)`` alone: one file per commit instead of one per feed."""
    source = table.names().index("fetched_at") + 1
    return PartitionSpec(PartitionField(source, PARTITION_FIELD_ID, DayTransform(), "fetched_at_day"))


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


def check_schema(found: IcebergTable, table: Table) -> None:
    """Refuse a table whose columns are not the declared ones.

    Raises:
        SchemaMismatch: naming the first column that differs.
    """
    wanted = {field.field_id: field for field in iceberg_schema(table).fields}
    there = {field.field_id: field for field in found.schema().fields}
    for number in sorted(wanted.keys() | there.keys()):
        ours, theirs = wanted.get(number), there.get(number)
        if ours is None or theirs is None or (ours.name, str(ours.field_type)) != (theirs.name, str(theirs.field_type)):
            raise SchemaMismatch(
                f"{table.name}: column {number} should be {_named(ours)}, but the table has {_named(theirs)}",
                hint="write into a new data folder from the capture log, or use the version that made this table",
            )


def _named(field: NestedField | None) -> str:
    return "none" if field is None else f"{field.name} {field.field_type}"
