"""The engines that carry out expressions: DuckDB in this process, or a Spark cluster.

`store` opens one of them; nothing else in the product knows which. An engine turns the Parquet files of committed
batches into Ibis tables of the declared schema, and every expression on them means the same on either. Where the
engines differ, the difference is declared in `spark_sql.GAPS`, closed there, and tested; no detector works around one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import ibis.expr.types as ir
    import pyarrow as pa

    from brokenseal import schema

INPUT_NO: Final = "input_no"
"""Column of the stored files: the number in the ledger of the input that a row came from."""


class Engine(Protocol):
    """What a store asks of an engine."""

    def table(self, table: schema.Table, files: Sequence[Path], by_input: Mapping[str, Sequence[str]]) -> ir.Table:
        """The rows of Parquet files as one table of the declared schema.

        Args:
            table: What the files hold.
            files: None for a table without rows.
            by_input: Columns that are not in the files, each with its values for the inputs 1, 2, 3 ...
        """

    def close(self) -> None:
        """Let go of everything that the engine holds."""


def begun(rows: ir.Table) -> Callable[[], pa.Table]:
    """Have rows worked out while the caller goes on, where the engine can do that; the call waits for them.

    Args:
        rows: Of tables that outlast the call. What is asked afterwards is carried out afterwards.
    """
    backend = rows.get_backend()
    if hasattr(backend, "begin"):
        found: Callable[[], pa.Table] = backend.begin(rows)
        return found
    there: pa.Table = rows.to_pyarrow()
    return lambda: there
