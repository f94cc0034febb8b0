"""`start.py`: what it decides, and that it ends with one clear line where it cannot go on."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import io
import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("start", ROOT / "start.py")
start = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(start)

W = start.Wheel


def test_the_index_of_last_resort_is_the_one_that_the_lock_names():
    lock = 'source = { registry = "https://locked.example/simple/" }'

    assert start.locked_index(lock) == "https://locked.example/simple"
    with pytest.raises(start.Stop, match="names no package index"):
        start.locked_index("version = 1")


def wheel_file(program=b"#!/bin/sh\necho uv 9.9.9\n"):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("uv/__init__.py", "")
        archive.writestr("uv-9.9.9.data/scripts/uvx", b"no")
        archive.writestr("uv-9.9.9.data/scripts/uv", program)
    return data.getvalue()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo"], ("demo", [])),
        (["test", "-k", "fields"], ("test", ["-k", "fields"])),
        (["run", "--", "ingest", "--", "x"], ("run", ["ingest", "--", "x"])),
        (["run", "ingest"], ("run", ["ingest"])),
    ],
)
def test_the_first_word_is_the_command(arguments, expected):
    assert start.parse(arguments) == expected


@pytest.mark.parametrize("arguments", [[], ["tests"], ["--help"]])
def test_an_unknown_command_is_refused_with_the_list(arguments):
    with pytest.raises(start.Stop, match="demo, test, lint, bench, run"):
        start.parse(arguments)


@pytest.mark.parametrize(
    ("environ", "pip", "expected"),
    [
        ({}, "", ["https://locked.example/simple"]),
        ({"PIP_INDEX_URL": "https://m.example/simple/"}, "", ["https://m.example/simple"]),
        ({}, "https://p.example/simple", ["https://p.example/simple"]),
        (
            {"PIP_INDEX_URL": "https://p.example/s", "UV_DEFAULT_INDEX": "inside=https://u.example/s"},
            "https://p.example/s",
            ["https://u.example/s", "https://p.example/s"],
        ),
        ({"UV_INDEX_URL": "https://u.example/a?x=1"}, "", ["https://u.example/a?x=1"]),
    ],
)
def test_the_configured_index_is_asked_and_the_public_one_only_where_none_is(environ, pip, expected):
    assert start.index_urls(environ, pip, "https://locked.example/simple") == expected


@pytest.mark.parametrize(
    ("system", "machine", "libc", "chosen"),
    [
        ("Linux", "x86_64", "glibc", "uv-0.10.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        ("Linux", "x86_64", "", "uv-0.9.9-py3-none-musllinux_1_1_x86_64.whl"),
        ("Linux", "aarch64", "glibc", "uv-0.9.9-py3-none-manylinux_2_17_aarch64.musllinux_1_1_aarch64.whl"),
        ("Darwin", "arm64", "", "uv-0.9.9-py3-none-macosx_11_0_arm64.whl"),
        ("Windows", "AMD64", "", "uv-0.9.9-py3-none-win_amd64.whl"),
        ("Linux", "s390x", "glibc", None),
    ],
)
def test_the_newest_final_wheel_for_the_platform_is_chosen(system, machine, libc, chosen):
    names = [
        "uv-0.9.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "uv-0.10.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "uv-0.11.0rc1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "uv-0.9.9-py3-none-musllinux_1_1_x86_64.whl",
        "uv-0.9.9-py3-none-manylinux_2_17_aarch64.musllinux_1_1_aarch64.whl",
        "uv-0.9.9-py3-none-macosx_11_0_arm64.whl",
        "uv-0.9.9-py3-none-win_amd64.whl",
        "uv-0.12.0.tar.gz",
        "uv_build-0.12.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    ]

    wheel = start.choose([W(name, "", "") for name in names], *start.wheel_tags(system, machine, libc))

    assert (wheel.filename if wheel else None) == chosen


def test_both_forms_of_an_index_page_give_the_same_files():
    files = [
        {"filename": "uv-1.whl", "url": "../../files/uv-1.whl", "hashes": {"sha256": "ab"}},
        {"filename": "uv-2.whl", "url": "https://f.example/uv-2.whl", "hashes": {}, "yanked": False},
        {"filename": "uv-3.whl", "url": "https://f.example/uv-3.whl", "hashes": {}, "yanked": "broken"},
    ]
    page = (
        '<a href="../../files/uv-1.whl#sha256=ab">uv-1.whl</a><a href="https://f.example/uv-2.whl">uv-2.whl</a>'
        '<a href="https://f.example/uv-3.whl" data-yanked="broken">uv-3.whl</a><a name="x">no file</a>'
    )
    url = "https://i.example/simple/uv/"
    expected = [
        W("uv-1.whl", "https://i.example/files/uv-1.whl", "ab"),
        W("uv-2.whl", "https://f.example/uv-2.whl", ""),
    ]

    as_json = start.read_index_page("application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode(), url)
    assert as_json == expected
    assert start.read_index_page("text/html; charset=utf-8", page.encode(), url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://i.example/simple", ("https://i.example/simple", "")),
        ("https://me:p%40ss@i.example:8443/s", ("https://i.example:8443/s", "Basic bWU6cEBzcw==")),
        ("https://key@i.example/s", ("https://i.example/s", "Basic a2V5Og==")),
    ],
)
def test_a_login_in_an_address_becomes_a_header(url, expected):
    assert start.without_login(url) == expected


def test_only_the_program_is_taken_from_the_wheel():
    assert start.uv_program(wheel_file(b"program"), is_windows=False) == b"program"
    with pytest.raises(start.Stop, match=r"no program uv\.exe"):
        start.uv_program(wheel_file(), is_windows=True)


@pytest.mark.parametrize(
    ("rest", "cpus", "memory_mb", "expected"),
    [
        ([], 2, 8_000, ["-n", "2"]),
        (["-q"], 16, 64_000, ["-n", "4", "-q"]),
        ([], 8, 3_000, []),
        ([], 1, 64_000, []),
        (["-n0"], 8, 64_000, ["-n0"]),
        (["-n", "3"], 8, 64_000, ["-n", "3"]),
        (["--pdb"], 8, 64_000, ["--pdb"]),
    ],
)
def test_tests_run_side_by_side_as_far_as_memory_allows(rest, cpus, memory_mb, expected):
    assert start.pytest_arguments(rest, cpus=cpus, memory_mb=memory_mb) == expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ([], ["bench/all.py"]),
        (["--scale", "smoke"], ["bench/all.py", "--scale", "smoke"]),
        *(([word, "--part", "pdf"], ["bench/all.py", word, "--part", "pdf"]) for word in ("run", "page", "list")),
        (["drill", "--runs", "1"], ["bench/drill.py", "--runs", "1"]),
        (["ingest", "drill"], ["bench/ingest.py", "drill"]),
    ],
)
def test_a_benchmark_is_named_or_it_is_all_of_them(rest, expected):
    assert start.bench_arguments(rest) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="the programs of this test are shell scripts")
def test_the_first_way_that_gives_a_working_program_is_taken(tmp_path):
    broken, works = tmp_path / "broken", tmp_path / "works"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    works.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    broken.chmod(0o755)
    works.chmod(0o755)
    ways = (lambda: None, lambda: tmp_path / "absent", lambda: broken, lambda: works)

    assert start.find_uv(ways) == works
    with pytest.raises(start.Stop, match="uv could not be had"):
        start.find_uv(ways[:3])


class _Index(http.server.BaseHTTPRequestHandler):
    """A package index on this machine that holds one wheel."""

    wheel = wheel_file()
    sha256 = hashlib.sha256(wheel).hexdigest()
    asked: list[tuple[str, str | None]]

    def do_GET(self):
        family, machine = start.wheel_tags("Linux", "x86_64", "glibc")
        name = f"uv-9.9.9-py3-none-{family}2_17{machine}.whl"
        self.asked.append((self.path, self.headers.get("Authorization")))
        body = self.wheel
        content_type = "application/octet-stream"
        if self.path == "/simple/uv/":
            content_type = "application/vnd.pypi.simple.v1+json"
            file = {"filename": name, "url": "/files/w.whl", "hashes": {"sha256": self.sha256}}
            body = json.dumps({"files": [file]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Nothing on the error stream."""


@pytest.fixture
def index(monkeypatch, tmp_path):
    """The index running, `start` pointed at it and at an empty folder, as on Linux with glibc."""
    handler = type("_OwnIndex", (_Index,), {"asked": []})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@127.0.0.1:{server.server_port}/simple/")
        monkeypatch.setattr(start, "PLACE", tmp_path)
        monkeypatch.setattr(start, "pip_configured_index", lambda: "")
        monkeypatch.setattr(start, "wheel_tags", lambda *_: ("manylinux_", "_x86_64"))
        yield handler
        server.shutdown()
        thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="the program in the wheel is a shell script")
def test_the_wheel_is_downloaded_with_the_configured_login_and_its_program_runs(index):
    program = start.find_uv((start.uv_by_download,))

    assert program.read_bytes().startswith(b"#!/bin/sh")
    assert index.asked == [("/simple/uv/", "Basic bWU6c2VjcmV0"), ("/files/w.whl", "Basic bWU6c2VjcmV0")]


def test_a_wheel_with_another_digest_is_not_used_and_no_password_is_printed(index, capsys):
    index.wheel = wheel_file(b"something else")

    assert start.uv_by_download() is None
    shown = capsys.readouterr().err
    assert "is not what the index announced" in shown
    assert "secret" not in shown
    assert list(start.PLACE.iterdir()) == []


def test_an_index_out_of_reach_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    monkeypatch.setattr(start, "PLACE", tmp_path)
    monkeypatch.setattr(start, "pip_configured_index", lambda: "")

    assert start.uv_by_download() is None
    assert capsys.readouterr().err.startswith("start: 127.0.0.1 cannot be asked for uv: ")


def test_the_index_of_pip_is_handed_to_uv_and_its_own_settings_win(monkeypatch):
    monkeypatch.setattr(start, "pip_configured_index", lambda: "")
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://m.example/simple")

    assert start.environment()["UV_DEFAULT_INDEX"] == "https://m.example/simple"
    assert "VIRTUAL_ENV" not in start.environment()
    monkeypatch.setenv("UV_INDEX_URL", "https://u.example/simple")
    assert "UV_DEFAULT_INDEX" not in start.environment()


def test_a_wrong_call_ends_with_one_line_and_code_2():
    done = subprocess.run([sys.executable, ROOT / "start.py", "tset"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "start: expected one of: demo, test, lint, bench, run; for example: python3 start.py demo"
    ]


def test_an_old_python_is_told_so(monkeypatch):
    monkeypatch.setattr(start, "OLDEST", (9, 0))

    with pytest.raises(start.Stop, match=r"Python 9\.0 or newer is needed"):
        start.main(["demo"])


def test_only_the_standard_library_is_imported():
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print([m for m in sys.modules if 'site-packages' in str(getattr(sys.modules[m], '__file__', ''))])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT / "start.py")], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
