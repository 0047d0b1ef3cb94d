"""Which files are merged: eight of a size, days that are over, and never what has its size."""

from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record
from pyiceberg.types import LongType

from thirdrail.maintenance.compaction import FULL_BYTES, FULL_ROWS, MERGE_AT, groups

FIELD = 2


def file(number: int, rows: int, day: int = 0, size: int | None = None) -> DataFile:
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"file-{number}",
        file_format=FileFormat.PARQUET,
        partition=Record(day),
        record_count=rows,
        file_size_in_bytes=rows * 20 if size is None else size,
        lower_bounds={FIELD: to_bytes(LongType(), number)},
    )


def names(found: list[list[DataFile]]) -> list[list[str]]:
    return [[each.file_path for each in group] for group in found]


def test_eight_of_a_size_are_merged_in_order_and_seven_wait() -> None:
    assert groups([file(number, 100) for number in range(7)], FIELD) == []
    found = groups([file(number, 100) for number in reversed(range(17))], FIELD)
    assert names(found) == [[f"file-{number}" for number in range(16)]]


def test_sizes_far_apart_are_not_merged_on_the_open_day() -> None:
    assert groups([*(file(n, 100) for n in range(7)), file(8, 100_000)], FIELD) == []


def test_a_day_that_is_over_is_gathered_whatever_the_sizes_and_a_full_file_is_left_alone() -> None:
    files = [file(1, 100), file(2, 90_000), file(3, FULL_ROWS), file(4, 7), file(5, 50, size=FULL_BYTES), file(9, 1, 1)]
    assert names(groups(files, FIELD)) == [["file-1", "file-2", "file-4"]]


@given(st.lists(st.tuples(st.integers(1, 2 * FULL_ROWS), st.integers(0, 2)), max_size=80))
def test_groups_are_of_one_day_disjoint_and_no_larger_than_a_full_file(drawn: list[tuple[int, int]]) -> None:
    files = [file(number, rows, day) for number, (rows, day) in enumerate(drawn)]
    found = groups(files, FIELD)
    merged = [each.file_path for group in found for each in group]
    assert len(merged) == len(set(merged))
    for group in found:
        assert len(group) > 1
        assert len({each.partition[0] for each in group}) == 1
        assert sum(each.record_count for each in group) <= FULL_ROWS
        assert all(each.record_count < FULL_ROWS * 3 / 4 for each in group)


def test_merging_until_nothing_is_left_costs_the_logarithm_and_leaves_few_files() -> None:
    files: list[DataFile] = []
    rewritten = 0
    for number in range(4_000):
        files.append(file(number, 150))
        for group in groups(files, FIELD):
            rows = sum(each.record_count for each in group)
            rewritten += rows
            gone = {each.file_path for each in group}
            files = [each for each in files if each.file_path not in gone]
            files.append(file(10_000 + number, rows))
    assert rewritten <= 4_000 * 150 * 5
    assert len(files) < 5 * MERGE_AT
