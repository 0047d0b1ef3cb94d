"""Rows of a batch → Parquet data files, one per UTC day, sorted, with Iceberg's statistics."""

from datetime import date
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table as IcebergTable
from pyiceberg.typedef import Record

from thirdrail.model.tables import Table
from thirdrail.sinks.iceberg.files import DurableStream
from thirdrail.sinks.iceberg.schema import parquet_schema

_DELTA = {"int", "long", "date", "timestamptz"}
_ZSTD_LEVEL = 3
EPOCH = date(1970, 1, 1)


def write_data_files(
    target: IcebergTable, table: Table, rows: pa.Table, row_group_rows: int | None = None
) -> list[DataFile]:
    """Write the rows durably and give the files; nothing refers to them yet. A file is one row group by default."""
    day_of_row = pc.floor_temporal(rows.column(table.day), unit="day").cast(pa.date32())
    days = sorted(pc.unique(day_of_row).to_pylist())
    if len(days) == 1:
        return [_write(target, table, rows, days[0], row_group_rows)]
    return [
        _write(target, table, rows.filter(pc.equal(day_of_row, pa.scalar(day, pa.date32()))), day, row_group_rows)
        for day in days
    ]


def _write(target: IcebergTable, table: Table, rows: pa.Table, day: date, row_group_rows: int | None) -> DataFile:
    location = f"{target.location()}/data/{table.day}_day={day.isoformat()}/{uuid4()}.parquet"
    output = target.io.new_output(location)
    schema = parquet_schema(table, target.schema())
    with output.create() as stream:
        writer = pq.ParquetWriter(
            pa.PythonFile(stream, mode="w") if isinstance(stream, DurableStream) else stream,
            schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            store_schema=False,
            use_dictionary=[column.name for column in table.columns if column.type == "string"],
            column_encoding={column.name: "DELTA_BINARY_PACKED" for column in table.columns if column.type in _DELTA},
        )
        with writer:
            writer.write_table(_sorted(table, rows, schema), row_group_size=row_group_rows or max(len(rows), 1))
    return _described(target, writer.writer.metadata, location, len(output), (day - EPOCH).days)


def _sorted(table: Table, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give the rows in the table's order, in one chunk, under the file's schema."""
    frame: pl.DataFrame = pl.from_arrow(rows.select(list(table.sort)))  # type: ignore[assignment]
    order = frame.select(pl.arg_sort_by(list(table.sort), nulls_last=True)).to_series().to_arrow()
    columns = [_taken(column, field, order) for column, field in zip(rows.columns, schema, strict=True)]
    return pa.Table.from_arrays(columns, schema=schema)


def _taken(column: pa.ChunkedArray, field: pa.Field, order: pa.Array) -> pa.Array:
    """Give a column in order; one without values is not carried about."""
    if column.null_count == len(column):
        return pa.nulls(len(column), field.type)
    return column.combine_chunks().take(order).cast(field.type)


def _described(target: IcebergTable, metadata: pq.FileMetaData, location: str, size: int, day: int) -> DataFile:
    schema = target.schema()
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=metadata,
        stats_columns=compute_statistics_plan(schema, target.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=Record(day),
        file_size_in_bytes=size,
        sort_order_id=None,
        spec_id=target.spec().spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
