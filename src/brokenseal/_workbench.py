"""What ingest does with the engine of a store before anything is committed.

`store` makes a `Workbench` on its own connection; nothing here imports the engine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pyarrow as pa
from ibis.backends.sql.datatypes import DuckDBType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import ibis.expr.types as ir


def quoted(path: Path) -> str:
    """A path as an SQL literal."""
    return "'" + str(path).replace("'", "''") + "'"


def quoted_glob(path: Path) -> str:
    """A path as an SQL literal for a reader that would otherwise take `*`, `?` and `[` for patterns."""
    plain = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))
    return "'" + plain.replace("'", "''") + "'"


_ROWS_AT_ONCE = 1 << 14
_BLOCK_ROWS = 1 << 17


class Workbench:
    """The engine as ingest uses it: typed reading of JSON text, held tables, Parquet parts.

    Expressions over unbound tables (`ibis.table`) refer to held tables and views by name. They are compiled once
    (`compile_query`) and carried out for every segment, because compiling takes longer than many a query.
    """

    def __init__(
        self,
        engine: Any,
        running: Callable[[], AbstractContextManager[None]],
        rows: pa.Table | None = None,
        *,
        own: bool = False,
    ) -> None:
        """Work on a connection of a store, where `raw` stands for the rows given.

        `running` stands around everything that the engine carries out, and says what it lacked (`EngineFailed`).
        With `own`, what it holds is seen by this connection alone.
        """
        self._engine = engine
        self._running = running
        self._rows = rows
        self._temp = "TEMP " if own else ""
        if rows is not None:
            engine.register("raw", rows)

    def load_json(
        self,
        path: Path,
        columns: Mapping[str, str],
        *,
        first: int,
        longest: int,
        members: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Read one JSON object per line into the view `raw`, strictly, and say how many there are.

        `raw` has the declared columns and `record_no`, the number of the line. A key that is absent or null is
        null. A scalar of any kind becomes text where text is declared. Anything else that does not fit (an
        object where a list is declared, broken JSON, a key given twice, bytes that are no UTF-8, a lone
        surrogate) refuses the file as a whole: never a silent null.

        Args:
            path: File below the store's `tmp`; every line holds an object, none is blank.
            columns: Key to Ibis type.
            first: Number of the first line.
            longest: No line has more bytes.
            members: Name of a further column to the JSON path of an object, whose keys it lists as JSON text.

        Raises:
            one of `REFUSED`: some line does not fit.
        """
        types = {name: DuckDBType.to_string(ibis.dtype(kind)) for name, kind in columns.items()}
        declared = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
        self.forget_rows()
        # Out to Arrow and read from there: a table of the engine's own would first count what is distinct in it.
        rows = self.fetch(
            f"SELECT * FROM read_json({quoted_glob(path)}, columns={{{declared}}}, "  # noqa: S608 - names and numbers of our own
            f"format='newline_delimited', records='true', auto_detect=false, compression='none', "
            f"maximum_object_size={2 * longest})"
        )
        for name, keys in self._keys(path, members, longest):
            rows = rows.append_column(name, keys)
        numbers = pa.array(np.arange(first, first + len(rows)))
        self._rows = rows.append_column("record_no", numbers)
        self._engine.register("raw", self._rows)
        return len(rows)

    def _keys(self, path: Path, members: Mapping[str, str], longest: int) -> Iterator[tuple[str, pa.ChunkedArray]]:
        if not members:
            return
        listed = ", ".join(
            f"CAST(to_json(json_keys(json, '{place}')) AS VARCHAR) AS \"{name}\"" for name, place in members.items()
        )
        query = (
            f"SELECT {listed} FROM read_ndjson_objects({quoted_glob(path)}, "  # noqa: S608 - names and numbers of our own
            f"compression='none', maximum_object_size={2 * longest})"
        )
        # Records have few different sets of keys: many a long text is kept once.
        with self._running():
            blocks = [
                [keys.dictionary_encode() for keys in batch.columns]
                for batch in self._engine.sql(query).to_arrow_reader(_ROWS_AT_ONCE)
            ]
        for index, name in enumerate(members):
            kind = pa.dictionary(pa.int32(), pa.string())
            yield name, pa.chunked_array([block[index] for block in blocks], kind).unify_dictionaries()

    def not_json(self, lines: pa.Array) -> np.ndarray:
        """Index of each text, in ascending order, that the engine's parser does not take; no text need be UTF-8."""
        self._engine.register("given", pa.table({"no": np.arange(len(lines)), "line": lines}))
        found = self.fetch("SELECT no FROM given WHERE NOT json_valid(line) ORDER BY no")
        self._engine.unregister("given")
        numbers: np.ndarray = found["no"].to_numpy()
        return numbers

    def forget_rows(self) -> None:
        """Let go of the rows of `raw`."""
        if self._rows is not None:
            self._engine.unregister("raw")
            self._rows = None

    def view(self, name: str, query: str) -> None:
        """Give a query a name."""
        self._do(f'CREATE OR REPLACE {self._temp}VIEW "{name}" AS {query}')

    def hold(self, name: str, content: str | pa.Table) -> None:
        """Compute a query once, or take over a table, and hold it until `drop` or the next one of that name."""
        if isinstance(content, str):
            self._do(f'CREATE OR REPLACE {self._temp}TABLE "{name}" AS {content}')
            return
        self._engine.register("given", content)
        self._do(f'CREATE OR REPLACE {self._temp}TABLE "{name}" AS SELECT * FROM given')  # noqa: S608 - names and numbers of our own
        self._engine.unregister("given")

    def hold_words(self, name: str, content: pa.Table) -> None:
        """Like `hold`, with every column of text as an enumeration of the texts that stand in it.

        Joined rows then carry a number instead of the text, which a Parquet part writes as its dictionary. In
        queries such a column is text.
        """
        self._engine.register("given", content)
        self.drop(name)
        columns = []
        for column, kind in zip(content.schema.names, content.schema.types, strict=True):
            if kind != "string" or content[column].null_count == len(content):
                columns.append(f'"{column}"')
                continue
            words = f'"{column}__words"'
            self._do(f"DROP TYPE IF EXISTS {words}")
            self._do(
                f"CREATE {self._temp}TYPE {words} AS ENUM "  # noqa: S608 - names of our own
                f'(SELECT DISTINCT "{column}" FROM given WHERE "{column}" IS NOT NULL)'
            )
            columns.append(f'CAST("{column}" AS {words}) AS "{column}"')
        self._do(f'CREATE {self._temp}TABLE "{name}" AS SELECT {", ".join(columns)} FROM given')  # noqa: S608 - names and numbers of our own
        self._engine.unregister("given")

    def drop(self, *names: str) -> None:
        """Let go of held tables; those that are not held are passed over."""
        for name in names:
            self._do(f'DROP TABLE IF EXISTS "{name}"')

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query."""
        with self._running():
            return self._engine.sql(query).to_arrow_table()

    def blocks(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query, some at a time; nothing else may be asked meanwhile."""
        with self._running():
            yield from self._engine.sql(query).to_arrow_reader(_BLOCK_ROWS)

    def _do(self, statement: str) -> None:
        with self._running():
            self._engine.execute(statement)

    def count(self, name: str) -> int:
        """How many rows a held table has."""
        return int(self.fetch(f'SELECT count(*) AS n FROM "{name}"')["n"][0].as_py())  # noqa: S608 - names and numbers of our own

    def write_parquet(self, query: str, path: Path) -> int:
        """Write a query's rows as one Parquet file, and say how many there are."""
        with self._running():
            written = self._engine.execute(
                f"COPY ({query}) TO {quoted(path)} (FORMAT parquet, COMPRESSION snappy)"
            ).fetchone()
        return int(written[0]) if written else 0

    def at_once(self, work: Callable[[Workbench, str], Any], names: Iterable[str]) -> list[Any]:
        """Do the same work for several names on several connections, because a small query keeps one core busy.

        Returns: What `work` gives, in the order of the names.
        """
        threads = int(self.fetch("SELECT current_setting('threads') AS n")["n"][0].as_py())

        def alone(name: str) -> Any:
            with self._engine.cursor() as connection:
                return work(Workbench(connection, self._running, self._rows), name)

        with ThreadPoolExecutor(max_workers=threads) as pool:
            return list(pool.map(alone, names))

    def lanes(self, number: int) -> tuple[Workbench, ...]:
        """Workbenches on connections of their own, whose held tables and views do not meet.

        From now on every query of this engine runs in the thread that asks for it: several segments at a time, one core
        each, take less processor time than all cores on one segment.
        """
        self._do("SET threads=1")
        return tuple(Workbench(self._engine.cursor(), self._running, own=True) for _ in range(number))

    def close(self) -> None:
        """Let go of the connection, and of what it alone can see."""
        self.forget_rows()
        self._engine.close()


def compile_query(content: ir.Table) -> str:
    """An expression in the engine's language."""
    return str(ibis.to_sql(content, dialect="duckdb"))
