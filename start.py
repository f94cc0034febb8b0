#!/usr/bin/env python3
"""Run Brokenseal from a checkout, on a machine that has Python 3.11 or newer and a package index.

    python3 start.py demo                 a simulated tenant, from exports to an opened report
    python3 start.py test [pytest args]   the tests
    python3 start.py lint                 ruff, mypy and the import rules
    python3 start.py bench [NAME] [args]  all benchmarks, then docs/performance.md; or one of the folder bench
    python3 start.py run -- ARGS          brokenseal ARGS

Nothing is installed outside this folder. The packages of uv.lock go into .venv by means of uv. Where uv is not on PATH
it goes into .start: by a virtual environment, else by pip, else by downloading its wheel from the index that pip or uv
are configured for. Only the standard library is used, because a system Python may come without pip and without venv.
"""

from __future__ import annotations

import base64
import hashlib
import html.parser
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent
PLACE = ROOT / ".start"
COMMANDS = ("demo", "test", "lint", "bench", "run")
LINTERS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports",),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 60
WORKER_MB = 2048
MOST_WORKERS = 4
USAGE_ERROR, INTERRUPTED = 2, 130


class Stop(Exception):
    """Something that ends the run, in one line."""


class Wheel(NamedTuple):
    """One file of an index page; `sha256` is "" where the index gives none."""

    filename: str
    url: str
    sha256: str


# ---------------------------------------------------------------- pure parts


def parse(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command and what belongs to it; a `--` between them is dropped."""
    if not arguments or arguments[0] not in COMMANDS:
        raise Stop(f"expected one of: {', '.join(COMMANDS)}; for example: python3 start.py demo")
    rest = list(arguments[1:])
    return arguments[0], rest[1:] if rest[:1] == ["--"] else rest


def locked_index(lock: str) -> str:
    """The index that the lock was made from, which is asked where none is configured."""
    found = re.search(r'registry = "(https://[^"]+)"', lock)
    if found is None:
        raise Stop("uv.lock names no package index; set PIP_INDEX_URL")
    return found[1].rstrip("/")


def lock_index() -> str:
    """The index that this checkout's lock was made from."""
    return locked_index((ROOT / "uv.lock").read_text(encoding="utf-8"))


def index_urls(environ: Mapping[str, str], pip_configured: str, locked: str) -> list[str]:
    """Package indexes in the order of asking: those of uv, those of pip, and the lock's only if none is set."""
    named = [environ.get(name, "") for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")]
    urls = [url.rpartition("=")[2] if re.match(r"[\w-]+=", url) else url for url in (*named, pip_configured)]
    return list(dict.fromkeys(url.strip().rstrip("/") for url in urls if url.strip())) or [locked]


def wheel_tags(system: str, machine: str, libc: str) -> tuple[str, str]:
    """The family and the machine that a wheel's platform tag must have, such as `manylinux_` and `_x86_64`."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    if system == "Windows":
        return "win", {"x86_64": "_amd64", "aarch64": "_arm64"}.get(machine, "32")
    if system == "Darwin":
        return "macosx_", "_arm64" if machine == "aarch64" else f"_{machine}"
    return "manylinux_" if libc == "glibc" else "musllinux_", f"_{machine}"


def choose(wheels: Iterable[Wheel], family: str, machine: str) -> Wheel | None:
    """The newest final version of uv that fits the platform."""
    fitting = []
    for wheel in wheels:
        parts = wheel.filename.removesuffix(".whl").split("-")
        if not wheel.filename.endswith(".whl") or parts[0] != "uv" or not re.fullmatch(r"\d+(\.\d+)*", parts[1]):
            continue
        if any(tag.startswith(family) and tag.endswith(machine) for tag in parts[-1].split(".")):
            fitting.append((tuple(int(number) for number in parts[1].split(".")), wheel))
    return max(fitting)[1] if fitting else None


def read_index_page(content_type: str, body: bytes, url: str) -> list[Wheel]:
    """The files of a project page in either form of the simple repository API (PEP 503, PEP 691)."""
    if "json" in content_type:
        files = json.loads(body)["files"]
        return [
            Wheel(file["filename"], urllib.parse.urljoin(url, file["url"]), file.get("hashes", {}).get("sha256", ""))
            for file in files
            if not file.get("yanked")
        ]
    links = _Links()
    links.feed(body.decode("utf-8", "replace"))
    found = []
    for link in links.found:
        address, _, fragment = urllib.parse.urljoin(url, link).partition("#")
        filename = urllib.parse.unquote(address.rpartition("/")[2])
        digest = urllib.parse.parse_qs(fragment).get("sha256", [""])[0]
        found.append(Wheel(filename, address, digest))
    return found


class _Links(html.parser.HTMLParser):
    """The addresses that a page links to, without those that are yanked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the `href` of an anchor."""
        values = dict(attrs)
        if tag == "a" and values.get("href") and "data-yanked" not in values:
            self.found.append(values["href"] or "")


def without_login(url: str) -> tuple[str, str]:
    """The address without user and password, and the `Authorization` header that says the same ("" for none)."""
    parts = urllib.parse.urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    text = urllib.parse.unquote(login)
    header = "Basic " + base64.b64encode((text if ":" in text else f"{text}:").encode()).decode()
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), header


def uv_program(wheel: bytes, *, is_windows: bool) -> bytes:
    """The program inside uv's wheel."""
    name = "uv.exe" if is_windows else "uv"
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for entry in archive.namelist():
            if re.fullmatch(rf"uv-[^/]+\.data/scripts/{re.escape(name)}", entry):
                return archive.read(entry)
    raise Stop(f"the wheel of uv holds no program {name}")


def pytest_arguments(rest: Sequence[str], *, cpus: int, memory_mb: int) -> list[str]:
    """As many workers as cores and memory allow, unless the caller has decided."""
    decided = any(re.match(r"-n\d*$|-n=|--numprocesses|--dist|--pdb", argument) for argument in rest)
    workers = min(cpus, memory_mb // WORKER_MB, MOST_WORKERS)
    return [*([] if decided or workers <= 1 else ["-n", str(workers)]), *rest]


# ---------------------------------------------------------------- effects


def say(line: str) -> None:
    """One line on the error stream: standard output belongs to the command that is run."""
    print(f"start: {line}", file=sys.stderr, flush=True)


def succeeds(command: Sequence[str | Path], **more: str) -> bool:
    """Whether a command can be run and says that it went well; its output is dropped."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **more},
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def working(program: Path | None) -> Path | None:
    """The program, if it runs: a shim of a version manager may stand on PATH without anything behind it."""
    return program if program is not None and succeeds([program, "--version"]) else None


def installed_program(folder: Path) -> Path | None:
    """The uv below a folder, where any of the ways below may have put it."""
    names = ("bin/uv", "Scripts/uv.exe", "uv", "uv.exe")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def uv_on_path() -> Path | None:
    """The uv that the user has."""
    found = shutil.which("uv")
    return Path(found) if found else None


def uv_of_an_earlier_run() -> Path | None:
    """The uv that this script has installed before."""
    return next((found for name in ("venv", "pip", "wheel") if (found := installed_program(PLACE / name))), None)


def uv_by_venv() -> Path | None:
    """Install uv into a virtual environment; a Debian system Python may lack the module for it."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        return None
    folder = PLACE / "venv"
    if not succeeds([sys.executable, "-m", "venv", folder]):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    succeeds([python, "-m", "pip", "install", "uv"])
    return installed_program(folder)


def uv_by_pip() -> Path | None:
    """Install uv by the system's pip, into a folder of ours: an externally managed Python allows that."""
    if importlib.util.find_spec("pip") is None:
        return None
    folder = PLACE / "pip"
    succeeds([sys.executable, "-m", "pip", "install", "--target", folder, "uv"])
    return installed_program(folder)


def uv_by_download() -> Path | None:
    """Download uv's wheel from the package index; its SHA-256 must be what the index says."""
    family, machine = wheel_tags(platform.system(), platform.machine(), platform.libc_ver()[0])
    for index in index_urls(os.environ, pip_configured_index(), lock_index()):
        page = f"{index}/uv/"
        try:
            content_type, body, address = fetch(page, accept="application/vnd.pypi.simple.v1+json, text/html;q=0.5")
            wheel = choose(read_index_page(content_type, body, address), family, machine)
            if wheel is None:
                say(f"{host_of(index)} has no uv for this platform ({family}*{machine})")
                continue
            _, data, _ = fetch(wheel.url, accept="*/*", login_of=page)
        except (OSError, ValueError, KeyError) as error:
            say(f"{host_of(index)} cannot be asked for uv: {error}")
            continue
        if wheel.sha256 and hashlib.sha256(data).hexdigest() != wheel.sha256:
            say(f"{wheel.filename} from {host_of(index)} is not what the index announced; it is not used")
            continue
        program = PLACE / "wheel" / ("uv.exe" if os.name == "nt" else "uv")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_bytes(uv_program(data, is_windows=os.name == "nt"))
        program.chmod(0o755)
        return program
    return None


WAYS: tuple[Callable[[], Path | None], ...] = (
    uv_on_path,
    uv_of_an_earlier_run,
    uv_by_venv,
    uv_by_pip,
    uv_by_download,
)


def find_uv(ways: Iterable[Callable[[], Path | None]] = WAYS) -> Path:
    """The first uv that runs."""
    for way in ways:
        if way is uv_by_venv:
            say("no uv on PATH; putting it into .start")
        program = working(way())
        if program:
            return program
    raise Stop(
        "uv could not be had; install it from https://docs.astral.sh/uv/ or set PIP_INDEX_URL to a reachable index"
    )


def host_of(url: str) -> str:
    """The host alone: an address may carry a password."""
    return urllib.parse.urlsplit(url).hostname or "the index"


def pip_configured_index() -> str:
    """`index-url` of pip's configuration files, if pip is there to tell."""
    if importlib.util.find_spec("pip") is None:
        return ""
    for key in ("global.index-url", "install.index-url"):
        done = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", key], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return ""


def fetch(url: str, *, accept: str, login_of: str = "") -> tuple[str, bytes, str]:
    """Content type, body and final address. A login goes to the host it was configured for and nowhere else."""
    bare, login = without_login(url)
    if not login and login_of and host_of(login_of) == host_of(bare):
        _, login = without_login(login_of)
    request = urllib.request.Request(bare, headers={"Accept": accept, "User-Agent": "brokenseal-start"})
    if login:
        request.add_unredirected_header("Authorization", login)
    authorities = next((os.environ[name] for name in ("PIP_CERT", "SSL_CERT_FILE") if os.environ.get(name)), None)
    context = ssl.create_default_context(cafile=authorities)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:
        return answer.headers.get("Content-Type", ""), answer.read(), answer.geturl()


def environment() -> dict[str, str]:
    """The environment for uv: this Python, this project, the index that pip knows of."""
    variables = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    variables.setdefault("UV_PYTHON_DOWNLOADS", "never")
    # Where a company's proxy signs the connections, only the system knows its authority. One option by its two names.
    variables.setdefault("UV_NATIVE_TLS", "true")
    variables.setdefault("UV_SYSTEM_CERTS", "true")
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & variables.keys():
        index = index_urls(variables, pip_configured_index(), lock_index())[0]
        if index != lock_index():
            variables["UV_DEFAULT_INDEX"] = index
    return variables


def call(command: Sequence[str], variables: Mapping[str, str], *, folder: Path = ROOT) -> int:
    """Run a command with our streams, in the project's folder if no other is named; its exit code."""
    return subprocess.run(command, cwd=folder, env=dict(variables), check=False).returncode


def install(uv: str, variables: Mapping[str, str], *, with_tests: bool) -> None:
    """The locked packages into .venv. Where the lock's own addresses are out of reach, the same ones from the index."""
    groups = [] if with_tests else ["--no-dev"]
    is_there = (ROOT / ".venv" / "pyvenv.cfg").is_file()
    python = [] if is_there else ["--python", sys.executable]
    quiet = ["--quiet"] if is_there else []
    if call([uv, "sync", "--frozen", "--inexact", *groups, *python, *quiet], variables) == 0:
        return
    say("the addresses in uv.lock cannot be reached; asking the configured index for the same versions")
    PLACE.mkdir(exist_ok=True)
    listed = str(PLACE / "requirements.txt")
    by_lock = (
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable],
        [uv, "export", "--quiet", "--frozen", "--no-emit-project", *groups, "--output-file", listed],
        [uv, "pip", "install", "--require-hashes", "--requirement", listed],
        [uv, "pip", "install", "--no-deps", "--editable", "."],
    )
    if all(call(step, variables) == 0 for step in by_lock):
        return
    say("WARNING: the index lacks some locked versions; taking the newest ones that it has, which nobody has tested")
    newest = [uv, "pip", "install", "--editable", ".", *(["--group", "dev"] if with_tests else [])]
    if call(newest, variables) != 0:
        raise Stop("the packages could not be installed; the lines above say why")


def bench_arguments(rest: Sequence[str]) -> list[str]:
    """The one benchmark that is named first and what it is given, or all of them and the page that is made of them."""
    if rest and (ROOT / "bench" / f"{rest[0]}.py").is_file():
        return [f"bench/{rest[0]}.py", *rest[1:]]
    return ["bench/all.py", *rest]


def memory_mb() -> int:
    """Memory of the machine, or enough for two workers where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    except (AttributeError, ValueError, OSError):
        return 2 * WORKER_MB


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is the command's own."""
    if sys.version_info < OLDEST:
        raise Stop(f"Python {'.'.join(map(str, OLDEST))} or newer is needed, this is {platform.python_version()}")
    command, rest = parse(arguments)
    uv = str(find_uv())
    variables = environment()
    install(uv, variables, with_tests=command not in {"demo", "run"})
    run = [uv, "run", "--no-sync"]
    if command == "test":
        if not any(map(shutil.which, BROWSERS)):
            say("no Chromium on this machine: the tests that open the report in a browser will be skipped")
        return call(
            [*run, "pytest", *pytest_arguments(rest, cpus=os.cpu_count() or 1, memory_mb=memory_mb())], variables
        )
    if command == "lint":
        return max(call([*run, *linter], variables) for linter in LINTERS)
    if command == "bench":
        return call([*run, "python", *bench_arguments(rest)], variables)
    # Paths among the arguments are the caller's, so that these run where the caller stands.
    arguments = ["demo", *rest] if command == "demo" else rest
    return call(
        [uv, "run", "--no-sync", "--project", str(ROOT), "brokenseal", *arguments], variables, folder=Path.cwd()
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        say(str(stop))
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
