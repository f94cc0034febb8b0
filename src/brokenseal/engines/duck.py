"""DuckDB in this process: the engine of ingest, and of everything that fits on one machine."""

from __future__ import annotations

import os
import platform
import shutil
from typing import TYPE_CHECKING

import duckdb
import ibis
from ibis.backends.sql.datatypes import DuckDBType

from brokenseal._workbench import Workbench, quoted, quoted_glob
from brokenseal.engines import INPUT_NO
from brokenseal.engines._kept import KeepingBackend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import ibis.expr.types as ir

    from brokenseal import schema
    from brokenseal.settings import Settings

REFUSED = (duckdb.InvalidInputException, duckdb.ConversionException)
"""What the engine raises for content that it does not take; for callers that have another way then."""


class DuckEngine:
    """A connection that can reach one store folder alone: no network, no other file."""

    def __init__(self, root: Path, settings: Settings) -> None:
        """Connect, with the limits of the settings; what does not fit in memory spills to `tmp` of the store."""
        # A store may be shared by machines whose numbers of processes meet.
        self._spill = root / "tmp" / f"spill-{platform.node()}-{os.getpid()}"
        self._engine = duckdb.connect()
        folders = (root / "tables", root / "tmp")
        # The engine checks what it is given before it looks for files, so the escaped form is named as well.
        allowed = [form(folder) for folder in folders for form in (quoted, quoted_glob)]
        for statement in (
            "SET GLOBAL TimeZone='UTC'",
            f"SET threads={int(settings.threads)}",
            f"SET memory_limit='{int(settings.memory_limit_mb)}MiB'",
            f"SET temp_directory={quoted(self._spill)}",
            "SET enable_progress_bar=false",
            "SET GLOBAL lambda_syntax='ENABLE_SINGLE_ARROW'",  # as Ibis writes them
            "SET autoinstall_known_extensions=false",
            "SET autoload_known_extensions=false",
            "SET allow_community_extensions=false",
            f"SET allowed_directories=[{', '.join(allowed)}]",
            "SET enable_external_access=false",
        ):
            self._engine.execute(statement)
        # Fusing nested selects is a sixth of the time to compile a query, and the engine does it again itself.
        ibis.options.sql.fuse_selects = False
        self._ibis = KeepingBackend.from_connection(self._engine)

    def table(self, table: schema.Table, files: Sequence[Path], by_input: Mapping[str, Sequence[str]]) -> ir.Table:
        """The rows of Parquet files as one table of the declared schema; see `engines.Engine`."""
        wanted = table.ibis_schema()
        if not files:
            columns = ", ".join(
                f'CAST(NULL AS {DuckDBType.to_string(dtype)}) AS "{name}"' for name, dtype in wanted.items()
            )
            body = f"SELECT {columns} WHERE false"
        else:
            for name, values in by_input.items():
                self._engine.execute(f"SET VARIABLE {table.name}_{name} = ?", [list(values)])
            columns = ", ".join(
                f"getvariable('{table.name}_{name}')[{INPUT_NO}] AS \"{name}\"" if name in by_input else f'"{name}"'
                for name in table.names
            )
            listed = ", ".join(quoted_glob(file) for file in files)
            body = f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning=false)"  # noqa: S608 - names and numbers of our own
        self._engine.execute(f'CREATE OR REPLACE TEMP VIEW "{table.name}" AS {body}')
        found = self._ibis.table(table.name)
        # A cast that changes nothing is still a projection of every column, to be compiled in every query.
        return found if found.schema() == wanted else found.cast(wanted)

    def workbench(self) -> Workbench:
        """What ingest does with the engine before it commits."""
        return Workbench(self._engine)

    def close(self) -> None:
        """Let go of the engine and of what it spilled."""
        self._ibis.disconnect()
        shutil.rmtree(self._spill, ignore_errors=True)
