"""One Spark session for all tests of a run that need one, in this process; and the mark of these tests."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.util
import shutil
from pathlib import Path

import pytest

from brokenseal.settings import Settings
from support import TABLES, arrow_table

HAS_SPARK = importlib.util.find_spec("pyspark") is not None and shutil.which("java") is not None

EXPORTS = (
    "Audit.Exchange-2026-03-30.json",
    "unified-audit-log.zip",
    "directory-audit.json",
    "sign-ins-interactive.json",
)
"""Of the bundled tenant: its last week, and what else happened in it."""
NOW = dt.datetime(2026, 4, 10, tzinfo=dt.UTC)

needs_spark = pytest.mark.skipif(not HAS_SPARK, reason="PySpark or Java is absent")


@functools.cache
def engine():
    """Spark in this process; it takes some ten seconds to start, so there is one."""
    from brokenseal.engines.spark import SparkEngine

    return SparkEngine(Path("/nowhere"), Settings(store_dir=Path("/nowhere"), engine="spark", threads=2))


def view(name, rows):
    """Arrow rows as a table on Spark, typed as given."""
    import ibis

    session, backend = engine()._session, engine()._backend
    session.createDataFrame(rows).createOrReplaceTempView(name)
    return backend.known(name, ibis.memtable(rows).schema())


def spark_tables(rows):
    """Every declared table on Spark; those not named are empty."""
    return {name: view(name, arrow_table(name, rows.get(name, ()))) for name in TABLES}
