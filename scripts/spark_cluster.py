"""A Spark cluster on this machine: one master and some workers, each a process, of what the PySpark package holds.

    python scripts/spark_cluster.py                      until Ctrl-C; prints the address for --master
    python scripts/spark_cluster.py -- brokenseal detect --store DIR --engine spark --master {master}

Everything listens on loopback, on ports that are free. A command after `--` is run with `{master}` filled in, and the
cluster ends with it; its exit code is the command's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOOPBACK = "127.0.0.1"
STARTED_S = 60.0
STOPPED_S = 10.0
# As Spark's own launcher passes them, so that Arrow may use memory off the heap on Java 17.
JAVA = (
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
)
QUIET = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %c{1}: %m%n
"""


class ClusterError(Exception):
    """The cluster did not start."""


@dataclass(slots=True, kw_only=True)
class Cluster:
    """A running cluster.

    Attributes:
        url: For `--master`.
        folder: Logs and working folders of the processes.
    """

    url: str
    folder: Path
    master: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill_worker(self, number: int) -> None:
        """End a worker and what it runs at once, without a word to anybody, as a machine that fails does."""
        os.killpg(self.workers[number].pid, signal.SIGKILL)
        self.workers[number].wait()


def free_port() -> int:
    """A port of loopback that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def cluster(*, workers: int = 2, cores: int = 1, memory_mb: int = 1024) -> Iterator[Cluster]:
    """A master and its workers, as long as the context lasts.

    Args:
        workers: How many.
        cores: Of each worker.
        memory_mb: Of each worker, for what it runs.

    Raises:
        ClusterError: PySpark is absent, or a process ended or did not answer.
    """
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise ClusterError("PySpark is absent; pip install 'brokenseal[spark]' brings it")
    home = Path(found.origin).parent
    with tempfile.TemporaryDirectory(prefix="brokenseal-spark-") as name, contextlib.ExitStack() as running:
        folder = Path(name)
        (folder / "log4j2.properties").write_text(QUIET, encoding="ascii")
        port, page = free_port(), free_port()
        start = _Start(home, folder, running)
        where = ("--host", LOOPBACK, "--port", str(port), "--webui-port", str(page))
        made = Cluster(
            url=f"spark://{LOOPBACK}:{port}",
            folder=folder,
            master=start("master", "org.apache.spark.deploy.master.Master", *where),
        )
        _wait(made.master, port, folder / "master.log")
        for number in range(workers):
            own = folder / f"worker-{number}"
            pages = ("--host", LOOPBACK, "--port", str(free_port()), "--webui-port", str(free_port()))
            size = ("--cores", str(cores), "--memory", f"{memory_mb}m", "--work-dir", str(own))
            worker = start(f"worker-{number}", "org.apache.spark.deploy.worker.Worker", *pages, *size, made.url)
            made.workers.append(worker)
            _wait(worker, int(pages[3]), folder / f"worker-{number}.log")
        yield made


@dataclass(frozen=True, slots=True)
class _Start:
    """Starts Java processes that end with the context."""

    home: Path
    folder: Path
    running: contextlib.ExitStack

    def __call__(self, name: str, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        settings = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        command = ["java", *JAVA, "-Xmx512m", settings, "-cp", f"{self.home}/jars/*", main, *arguments]
        environment = {
            **os.environ,
            "SPARK_HOME": str(self.home),
            "SPARK_SCALA_VERSION": _scala_version(self.home),
            "SPARK_LOCAL_IP": LOOPBACK,
            "SPARK_LOCAL_DIRS": str(self.folder),
            "SPARK_NO_DAEMONIZE": "1",
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            # A group of its own, so that a worker ends with all that it runs.
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=self.folder, start_new_session=True
            )
        self.running.callback(_stop, process)
        return process


def _scala_version(home: Path) -> str:
    """Which Scala the jars are for; where a worker is not told, it looks for the folders of a source tree."""
    (core,) = (home / "jars").glob("spark-core_*.jar")
    return core.name.split("_")[1].split("-")[0]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it runs, which would go on writing to the folder while that is removed."""
    _signalled(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOPPED_S)
    until = time.monotonic() + STOPPED_S
    while _signalled(process, signal.SIGKILL) and time.monotonic() < until:
        process.poll()
        time.sleep(0.05)
    process.wait()


def _signalled(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Tell all of a process's group; False where none of it is left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + STARTED_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection((LOOPBACK, port), timeout=1).close()
            return
        time.sleep(0.1)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise ClusterError(f"{log.stem} did not start: {said}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a cluster, with a command on it or until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="how many (2)")
    parser.add_argument("--cores", type=int, default=1, help="of each worker (1)")
    parser.add_argument("--memory-mb", type=int, default=1024, help="of each worker (1024)")
    parser.add_argument("command", nargs="*", help="run with {master} filled in")
    asked = parser.parse_args(arguments)
    try:
        with cluster(workers=asked.workers, cores=asked.cores, memory_mb=asked.memory_mb) as made:
            if asked.command:
                filled = [part.replace("{master}", made.url) for part in asked.command]
                return subprocess.run(filled, check=False).returncode
            print(f"{made.url} with {asked.workers} workers; Ctrl-C ends it", flush=True)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with contextlib.suppress(KeyboardInterrupt):
                made.master.wait()
            return 0
    except ClusterError as err:
        print(err, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
