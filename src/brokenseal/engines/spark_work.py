"""Work in Python on the workers of a cluster: for ingest, whose parsers are no expressions.

The workers need this product under the same version of Python, and reach exports and store under the same paths.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

from brokenseal.engines.spark import running, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokenseal.settings import Settings

Item = TypeVar("Item")
Made = TypeVar("Made")


def on_workers(work: Callable[[Item], Made], items: Sequence[Item], settings: Settings) -> list[Made]:
    """Do the same work for every item, each as a task of its own, which Spark gives to another worker if one is lost.

    Args:
        work: A function of a module that the workers have.
        items: Values that can be pickled.
        settings: Which cluster.

    Returns: What was made of each item, in their order.

    Raises:
        EngineFailed: a task failed on every worker that tried it.
        UsageError: as `session_of` says.
    """
    context = session_of(settings).sparkContext
    # Else a worker takes the first `python3` of its path, which need not have this product.
    context.pythonExec = os.environ.get("PYSPARK_PYTHON", sys.executable)
    with running():
        return list(context.parallelize(items, len(items)).map(work).collect())
