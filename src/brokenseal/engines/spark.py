"""Spark: in this process, or on a cluster that reaches the store's folder under the same path.

Only the driver knows Delta: it hands Spark the Parquet files of committed batches, so that no Delta library is needed
on the cluster. Nothing of detection runs in Python on the workers, so that they need Java and Spark and nothing else;
reading exports does (`spark_work`).
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from brokenseal.engines import INPUT_NO
from brokenseal.errors import EngineFailed, UsageError

try:
    import pyspark.errors
    from ibis.backends.pyspark import Backend
    from ibis.backends.pyspark.datatypes import PySparkSchema
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark.sql import SparkSession, functions
except ImportError as err:
    raise UsageError(
        place="--engine spark", value=err, expected="PySpark, as pip install 'brokenseal[spark]' brings it"
    ) from err

import ibis
import ibis.expr.operations as ops

from brokenseal.engines.spark_sql import COMPILER, in_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import ibis.expr.schema as sch
    import ibis.expr.types as ir

    from brokenseal import schema
    from brokenseal.settings import Settings

_NUMBERS: Final = itertools.count()
_ANSWER_S: Final = 5.0
"""So long a master may take to accept a connection; Spark itself would try for a minute and then say little."""
_SEPARATOR: Final = "\0"
"""Between the values of one text; no path and no digest holds it."""

_LOGGING: Final = "spark-log4j2.properties"

_FIXED: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # overflow is an error, as in DuckDB, and never another number
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # what wrote the files uses one calendar for all times
    "spark.sql.parquet.filterPushdown": "true",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.variable.substitute": "false",  # ${name} in the text of a log is text
}
_QUIET: Final = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",  # failures come back as exceptions
}
_COMPILED_BYTES: Final = 256 * 1024 * 1024
"""From so many bytes of Parquet on, queries are compiled to Java; below, that takes longer than to interpret them."""


def needs_java() -> bool:
    """Whether the Java that Spark needs is missing here; for tests and for a clear error."""
    return shutil.which("java") is None


class SparkEngine:
    """A session of its own in the one Spark context that a process can have."""

    def __init__(self, root: Path, settings: Settings) -> None:
        """Start Spark or join the cluster.

        Raises:
            UsageError: Java is missing, the master does not answer, or this process uses another one already.
        """
        self._root = root
        self._session = session_of(settings)
        self._backend = SparkBackend()
        self._backend.do_connect(self._session)
        self._bytes = 0
        self._measure(())
        self._before = ibis.options.default_backend
        # A table in memory belongs to no engine; what is asked of it alone has to come from the same one.
        ibis.set_backend(self._backend)
        ibis.options.sql.fuse_selects = True

    def table(self, table: schema.Table, files: Sequence[Path], by_input: Mapping[str, Sequence[str]]) -> ir.Table:
        """The rows of Parquet files as one table of the declared schema; see `engines.Engine`."""
        wanted = table.ibis_schema()
        self._measure(files)
        if files:
            stored = {name: kind for name, kind in wanted.items() if name not in by_input}
            stored |= {INPUT_NO: ibis.dtype("int64")} if by_input else {}
            rows = (
                self._session.read.schema(PySparkSchema.from_ibis(ibis.schema(stored)))
                # The paths are files, and names of their own: no pattern, no partition to be read from a folder's name.
                .options(recursiveFileLookup="true", __globPaths__="false")
                .parquet(*(f"file://{file}" for file in files))
            )
            for name, values in by_input.items():
                listed = functions.split(functions.lit(_SEPARATOR.join(values)), _SEPARATOR)
                place = (functions.col(INPUT_NO) - 1).cast("int")
                rows = rows.withColumn(name, functions.get(listed, place))
            rows = rows.select(*table.names)
        else:
            rows = self._session.createDataFrame(wanted.to_pyarrow().empty_table(), PySparkSchema.from_ibis(wanted))
        name = f"brokenseal_{table.name}"
        rows.createOrReplaceTempView(name)
        return self._backend.known(name, wanted)

    def _measure(self, files: Sequence[Path]) -> None:
        self._bytes += sum(file.stat().st_size for file in files)
        is_large = self._bytes >= _COMPILED_BYTES
        self._session.conf.set("spark.sql.codegen.wholeStage", str(is_large).lower())
        self._session.conf.set("spark.sql.codegen.factoryMode", "FALLBACK" if is_large else "NO_CODEGEN")

    def close(self) -> None:
        """Let go of what is kept on the cluster; the context lasts as long as the process."""
        self._backend.forget()
        if ibis.options.default_backend is self._backend:
            ibis.options.default_backend = self._before


class SparkBackend(Backend):  # type: ignore[misc]
    """Ibis' backend, with times and lists typed as declared, no pandas between, and shared parts kept."""

    compiler = COMPILER

    def known(self, name: str, columns: sch.Schema) -> ir.Table:
        """A view under the schema that it was made with: Spark forgets time zones and what may be null."""
        return ops.DatabaseTable(name, schema=columns, source=self, namespace=ops.Namespace()).to_expr()

    def to_pyarrow(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **_: Any) -> Any:
        """Carry out an expression.

        Raises:
            EngineFailed: Spark stopped.
        """
        table = expr.as_table()
        wanted = table.schema().to_pyarrow()
        with running(), self._in_parts(table, params=params, limit=limit) as sql:
            found = self._session.sql(sql).toArrow()
        return expr.__pyarrow_result__(found.select(wanted.names).cast(wanted))

    @contextlib.contextmanager
    def _in_parts(self, table: ir.Table, *, params: Any = None, limit: Any = None) -> Iterator[str]:
        """The SQL of an expression, whose shared parts are kept as long as the context lasts."""
        self._run_pre_execute_hooks(table)
        held: list[str] = []

        def keep(sql: str) -> str:
            held.append(f"brokenseal_part_{next(_NUMBERS)}")
            self._keep(held[-1], sql)
            return held[-1]

        try:
            yield in_parts(self.compiler.to_sqlglot(table, params=params, limit=limit), keep)
        finally:
            for name in held:
                self._drop_cached_table(name)

    def _keep(self, name: str, sql: str) -> None:
        """Compute rows once and make them a view that knows nothing of how they came about.

        They stay on the workers, in memory or on disk; what is lost with a worker is computed again. As a view of the
        statement itself, each would be written out within all that come after it.
        """
        rows = self._session.sql(sql).persist()
        jvm: Any = self._session._jvm  # noqa: SLF001 - the public way writes the rows to a folder and reads them
        made = rows._jdf  # noqa: SLF001
        alone = jvm.org.apache.spark.sql.execution.__getattr__("LogicalRDD$").__getattr__("MODULE$")
        plan = alone.fromDataset(made.queryExecution().toRdd(), made, False)  # noqa: FBT003 - no stream
        view = jvm.org.apache.spark.sql.classic.Dataset.ofRows(self._session._jsparkSession, plan)  # noqa: SLF001
        view.createOrReplaceTempView(name)
        self._cached_dataframes[name] = rows

    def _create_cached_table(self, name: str, expr: ir.Table) -> ir.Table:
        with running(), self._in_parts(expr) as sql:
            self._keep(name, sql)
        return self.known(name, expr.schema())

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        rows = op.data.to_pyarrow(op.schema)
        made = self._session.createDataFrame(rows, schema=PySparkSchema.from_ibis(op.schema))
        made.createOrReplaceTempView(op.name)

    def _drop_cached_table(self, name: str) -> None:
        # Where Spark is gone, so are the rows; and what went wrong has been said.
        with contextlib.suppress(Py4JError, ConnectionError):
            super()._drop_cached_table(name)

    def forget(self) -> None:
        """Drop all rows that are kept."""
        for name in list(self._cached_dataframes):
            self._drop_cached_table(name)


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Say in one line what goes wrong on Spark.

    Raises:
        EngineFailed: Spark stopped.
    """
    try:
        yield
    except (pyspark.errors.PySparkException, Py4JError, ConnectionError) as err:
        raise EngineFailed(place="--engine spark", value=_said(err), expected="Spark to carry out the query") from err


def _said(error: Exception) -> str:
    """What Spark says in its first line; of an exception of Java, the innermost message."""
    found = getattr(error, "java_exception", None)
    while found is not None and found.getCause() is not None:
        found = found.getCause()
    text = str(error) if found is None else str(found.toString())
    return text.strip().partition("\n")[0]


def session_of(settings: Settings) -> SparkSession:
    """A session of the cluster that the settings name.

    Raises:
        EngineFailed: Spark did not start.
        UsageError: Java is missing, the master does not answer, or this process uses another one already.
    """
    master = settings.master or f"local[{settings.threads}]"
    address = _check(master)
    running = SparkSession.getActiveSession()
    if running is not None and running.sparkContext.master != master:
        raise UsageError(
            place="--master", value=master, expected=f"{running.sparkContext.master}, which this process uses already"
        )
    files = settings.store_dir.glob("tables/**/*.parquet")
    is_brief = master.startswith("local") and sum(file.stat().st_size for file in files) < _COMPILED_BYTES
    builder = SparkSession.builder.appName("brokenseal").master(master)
    for name, value in {**_FIXED, **_QUIET, **_sized(settings, address, is_brief=is_brief)}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate().newSession()
    except (pyspark.errors.PySparkException, Py4JError, ConnectionError) as err:
        raise EngineFailed(place=f"--master {master}", value=_said(err), expected="Spark to start") from err


def _sized(settings: Settings, address: str | None, *, is_brief: bool) -> dict[str, str]:
    """What depends on the machine and on where the workers find the driver."""
    java = [f"-Dlog4j2.configurationFile={resources.files('brokenseal')}/data/{_LOGGING}"]
    if is_brief:
        # Most of a short run is code that runs once; to optimise it for later is a third of the time.
        java += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    sized = {
        "spark.sql.shuffle.partitions": str(max(2, settings.threads)),
        "spark.driver.memory": f"{max(1024, settings.memory_limit_mb)}m",
        "spark.executor.memory": f"{max(512, settings.memory_limit_mb // 2)}m",
        "spark.driver.extraJavaOptions": " ".join(java),
    }
    return sized if address is None else {**sized, "spark.driver.host": address, "spark.driver.bindAddress": address}


def _check(master: str) -> str | None:
    """Say what is missing before Spark starts and says it in many lines.

    Returns: The address of this machine at which workers find the driver; None where Spark knows best.

    Raises:
        UsageError: Java is missing, the address is none, or nothing answers there.
    """
    if needs_java():
        raise UsageError(place="--engine spark", value="no java on the path", expected="Java 17 or 21")
    if master.startswith("local"):
        return "127.0.0.1"
    if master.startswith(("yarn", "k8s://")):
        return None
    found = urlsplit(master)
    try:
        is_address = found.scheme == "spark" and bool(found.hostname) and found.port is not None
    except ValueError:
        is_address = False
    if not is_address:
        raise UsageError(place="--master", value=master, expected="spark://host:port, yarn, k8s://… or local[n]")
    try:
        with socket.create_connection((found.hostname or "", found.port or 0), timeout=_ANSWER_S) as reached:
            return str(reached.getsockname()[0])
    except OSError as err:
        raise UsageError(place=f"--master {master}", value=err, expected="a Spark master that answers") from err
