"""DuckDB in this process: the engine of ingest, and of everything that fits on one machine."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import platform
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb
import ibis
import ibis.expr.operations as ops
from ibis.backends.sql.datatypes import DuckDBType

from brokenseal._workbench import Workbench, quoted, quoted_glob
from brokenseal.engines import INPUT_NO
from brokenseal.engines._aside import Aside
from brokenseal.engines._kept import KeepingBackend
from brokenseal.errors import EngineFailed
from brokenseal.schema import TABLES
from brokenseal.settings import MEBIBYTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import ibis.expr.types as ir

    from brokenseal import schema
    from brokenseal.settings import Settings

REFUSED = (duckdb.InvalidInputException, duckdb.ConversionException)
"""What the engine raises for content that it does not take; for callers that have another way then."""

_NO_ROOM: Final = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""How the engine ends its message about a file that cannot grow: as the system says it."""
_SPILL_FULL: Final = "max_temp_directory_size"
"""The setting that its message names when there is no room for what does not fit in memory: 90 % of the free disk."""
_SPILL_SIZE: Final = re.compile(r"/([0-9.]+ [A-Za-z]+) used\)")
_MESSAGE: Final = re.compile(r'"exception_message":("(?:[^"\\]|\\.)*")')
"""Of writing in the background, which is reported as JSON within the message."""
_NAMES: Final = frozenset(table.name for table in TABLES)
_LEAST_MB: Final = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may use.

    Attributes:
        memory_mb: Memory, in MiB.
        spill: Folder for what does not fit.
    """

    memory_mb: int
    spill: Path

    @contextlib.contextmanager
    def running(self, place: Callable[[], str]) -> Iterator[None]:
        """Say in one line what the engine lacks.

        Args:
            place: What was under way; asked for in case of failure alone, because to find it out takes time.

        Raises:
            EngineFailed: memory ran out, or the room for what does not fit in it, or for what is written.
        """
        try:
            yield
        except duckdb.OutOfMemoryException as err:
            said, text = str(err).partition("\n")[0], str(err)
            wanted = self._room(text) if _SPILL_FULL in text else self._memory()
            raise EngineFailed(place=place(), value=said, expected=wanted) from err
        except duckdb.IOException as err:
            said = _said(str(err))
            reason = next((each for each in _NO_ROOM if said.endswith(each)), None)
            if reason is None:
                raise
            # The reason comes first: what is shown of a value is short, and paths are long.
            value = f"{reason}: {said.removesuffix(reason).rstrip(': ')}"
            raise EngineFailed(place=place(), value=value, expected=self._room(said)) from err

    def _memory(self) -> str:
        return f"more memory: BROKENSEAL_MEMORY_MB={max(_LEAST_MB, 2 * self.memory_mb)} (now {self.memory_mb})"

    def _room(self, said: str) -> str:
        used = _SPILL_SIZE.search(said)
        folder = self.spill.parent
        free = used[1] if used else f"{shutil.disk_usage(folder).free // MEBIBYTE} MiB"
        return f"more room than {free} for files in {folder.parent}, or {self._memory()}"


def _said(text: str) -> str:
    found = _MESSAGE.search(text)
    return str(json.loads(found[1])) if found else text.partition("\n")[0]


class DuckBackend(KeepingBackend):
    """Ibis' backend of one store, which says what it lacks in one line."""

    limits: Limits
    aside: Aside

    def begin(self, expr: ir.Expr, /, **named: Any) -> Callable[[], Any]:
        """Have an expression carried out beside the caller, after all that was begun before; the call gives its rows.

        Args:
            expr: What is asked.
            **named: As Ibis' `compile` takes them.

        Raises:
            EngineFailed: when its rows are asked for; see `Limits.running`.
        """
        sql = self.compile(expr.as_table(), **named)

        def carried_out() -> Any:
            with self.limits.running(functools.partial(_place, expr)):
                self._run_pre_execute_hooks(expr)
                return self.con.sql(sql).to_arrow_table()

        found = self.aside.begin(carried_out)
        # Ibis' own mapping for this engine knows columns of nothing but nulls besides, and takes pandas to import.
        return lambda: expr.__pyarrow_result__(found())

    def to_pyarrow(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Carry out an expression; errors as in `begin`."""
        return self.begin(expr, params=params, limit=limit)()

    def execute(self, expr: ir.Expr, /, **named: Any) -> Any:
        """Carry out an expression, for pandas; errors as in `begin`."""
        self.aside.rest()
        with self.limits.running(functools.partial(_place, expr)):
            return super().execute(expr, **named)

    def _keep(self, expr: ir.Table, make: Callable[[], None]) -> None:
        """Make a table beside the caller; where that fails, whatever is asked next says so."""

        def made() -> None:
            with self.limits.running(functools.partial(_place, expr)):
                super(DuckBackend, self)._keep(expr, make)

        self.aside.prepare(made)

    def _drop_cached_table(self, name: str) -> None:
        self.aside.clear(functools.partial(super()._drop_cached_table, name))


def _place(expr: ir.Expr) -> str:
    """The tables of the schema that an expression asks; of what is kept, no name would say anything."""
    asked = sorted({node.name for node in expr.op().find(ops.DatabaseTable)} & _NAMES)
    return f"DuckDB ({', '.join(asked) or 'what is kept of the tables'})"


class DuckEngine:
    """A connection that can reach one store folder alone: no network, no other file."""

    def __init__(self, root: Path, settings: Settings) -> None:
        """Connect, with the limits of the settings; what does not fit in memory spills to `tmp` of the store."""
        # A store may be shared by machines whose numbers of processes meet.
        self._spill = root / "tmp" / f"spill-{platform.node()}-{os.getpid()}"
        self._limits = Limits(int(settings.memory_limit_mb), self._spill)
        self._engine = duckdb.connect()
        folders = (root / "tables", root / "tmp")
        # The engine checks what it is given before it looks for files, so the escaped form is named as well.
        allowed = [form(folder) for folder in folders for form in (quoted, quoted_glob)]
        for statement in (
            "SET GLOBAL TimeZone='UTC'",
            f"SET threads={int(settings.threads)}",
            f"SET memory_limit='{self._limits.memory_mb}MiB'",
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
        self._ibis = DuckBackend.from_connection(self._engine)
        self._ibis.limits = self._limits
        self._ibis.aside = self._aside = Aside(self._engine.interrupt)

    def table(self, table: schema.Table, files: Sequence[Path], by_input: Mapping[str, Sequence[str]]) -> ir.Table:
        """The rows of Parquet files as one table of the declared schema; see `engines.Engine`."""
        self._aside.rest()
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
        with self._limits.running(lambda: f"DuckDB ({table.name})"):
            self._engine.execute(f'CREATE OR REPLACE TEMP VIEW "{table.name}" AS {body}')
            found = self._ibis.table(table.name)
        # A cast that changes nothing is still a projection of every column, to be compiled in every query.
        return found if found.schema() == wanted else found.cast(wanted)

    def workbench(self) -> Workbench:
        """What ingest does with the engine before it commits."""
        return Workbench(self._engine, self._reading)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        self._aside.rest()
        with self._limits.running(lambda: "DuckDB (reading records)"):
            yield

    def close(self) -> None:
        """Let go of the engine and of what it spilled."""
        self._aside.close()
        self._ibis.disconnect()
        shutil.rmtree(self._spill, ignore_errors=True)
