"""One frozen `Settings`, built at the edge and passed down. No other module reads the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

MEBIBYTE = 1024 * 1024
_LEAST_MB = 1024
_MOST_MB = 3072


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and places of one run.

    Attributes:
        store_dir: Folder of the store.
        threads: Threads that the engine may use.
        memory_limit_mb: Memory that the engine may use before it spills to `store_dir/tmp`, in MiB.
        record_limit_bytes: A single record above this goes to quarantine as too_large.
        member_limit_bytes: Unpacked size above which an archive member is refused.
        ratio_limit: Unpacked to packed size above which an archive member of more than 10 MiB is refused.
        depth_limit: Containers within containers: 1 means a zip in a zip is opened, and no deeper.
        password: Password for encrypted archives, or None.
        engine: What carries out detection and exposure, and where batches of exports are read.
        master: Spark's address of a cluster, such as `spark://host:7077`; None for Spark in this process.
    """

    store_dir: Path
    threads: int = 2
    memory_limit_mb: int = 1024
    record_limit_bytes: int = 64 * MEBIBYTE
    member_limit_bytes: int = 256 * 1024 * MEBIBYTE
    ratio_limit: int = 250
    depth_limit: int = 1
    password: bytes | None = None
    engine: Literal["duckdb", "spark"] = "duckdb"
    master: str | None = None


def from_environment(
    store_dir: Path,
    *,
    password: bytes | None = None,
    engine: Literal["duckdb", "spark"] = "duckdb",
    master: str | None = None,
) -> Settings:
    """Build settings for a run; `BROKENSEAL_THREADS` and `BROKENSEAL_MEMORY_MB` override the defaults.

    The default of memory is a quarter of the machine's, 1 GiB at least and 3 GiB at most.
    """
    threads = os.environ.get("BROKENSEAL_THREADS", "")
    memory = os.environ.get("BROKENSEAL_MEMORY_MB", "")
    return Settings(
        store_dir=store_dir,
        threads=int(threads) if threads.isdigit() and int(threads) > 0 else (os.cpu_count() or 2),
        memory_limit_mb=int(memory) if memory.isdigit() and int(memory) > 0 else _share_of_memory_mb(),
        password=password,
        engine=engine,
        master=master,
    )


def _share_of_memory_mb() -> int:
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEBIBYTE // 4
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        found = 0
    return min(max(found, _LEAST_MB), _MOST_MB)
