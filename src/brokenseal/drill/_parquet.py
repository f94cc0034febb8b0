"""Tables below each other in one Parquet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

_ROWS_PER_GROUP: Final = 1_000_000


class Writer:
    """Tables below each other in one Parquet file, in large row groups."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._file = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()

    def add(self, rows: pa.Table) -> None:
        """Write these rows, or keep them until there are enough for a row group."""
        self._waiting.append(rows)
        self.rows += rows.num_rows
        if sum(one.num_rows for one in self._waiting) >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write_table(pa.concat_tables(self._waiting), row_group_size=_ROWS_PER_GROUP)
            self._waiting = []
