"""Reports that stand on the disk already, as they would be written again.

    state/reports      one object of JSON: for each file what it was made of, its size and its SHA-256

A report is a pure function of the document, of how it was asked for, of the product's files and of the libraries that
draw and write. Where all of that is as it was, and the file still has its bytes, there is nothing to render. Like the
document beside it, what is kept is recognised and never believed; deleting it loses nothing but time.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brokenseal.state import FOLDER, put_aside

if TYPE_CHECKING:
    from brokenseal.model import CaseDocument

FORM: Final = 1
NAME: Final = "reports"
_MOST_NOTED: Final = 64
_SIZE_LIMIT: Final = 1 << 20
_LIBRARIES: Final = ("altair", "babel", "jinja2", "python-docx", "typst", "vl-convert-python", "xlsxwriter")


def made_of(document: CaseDocument, *asked: str | None) -> str:
    """SHA-256, in hexadecimal, over all that a report depends on.

    Args:
        document: What is said in it.
        asked: How: format, language, reader, marking.
    """
    import msgspec

    found = hashlib.sha256(json.dumps([_product(), asked]).encode("utf-8", "surrogatepass"))
    found.update(msgspec.msgpack.encode(document, order="deterministic"))
    return found.hexdigest()


def has_notes(store_dir: Path) -> bool:
    """Whether a report was written of this store before; the next one may stand already."""
    return (store_dir / FOLDER / NAME).is_file()


def stands(store_dir: Path, target: Path, made: str) -> bool:
    """Whether the file holds, byte for byte, what was written to it of the same."""
    noted = _noted(store_dir).get(_key(target))
    if noted is None or noted["made_of"] != made:
        return False
    try:
        if target.stat().st_size != noted["size_bytes"]:
            return False
        with target.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == str(noted["sha256"])
    except OSError:
        return False


def note_written(store_dir: Path, target: Path, made: str, content: bytes) -> None:
    """Remember what was written, in the store; where that cannot be written, the next run renders again."""
    entry = {"made_of": made, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    others = {name: each for name, each in _noted(store_dir).items() if name != _key(target)}
    kept = dict([*others.items(), (_key(target), entry)][-_MOST_NOTED:])
    said = json.dumps({"product": "brokenseal", "form": FORM, "reports": kept})
    put_aside(store_dir, NAME, said.encode())


def _key(target: Path) -> str:
    # A name need not be text; as JSON it has to be.
    return os.fsencode(target.resolve()).decode("utf-8", "backslashreplace")


def _noted(store_dir: Path) -> dict[str, dict[str, Any]]:
    """What was noted of each file; nothing of what cannot be read."""
    path = store_dir / FOLDER / NAME
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size <= _SIZE_LIMIT else None
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or found.get("form") != FORM or not isinstance(found.get("reports"), dict):
        return {}
    return {name: each for name, each in found["reports"].items() if _is_entry(each)}


def _is_entry(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("size_bytes"), int)
        and all(isinstance(value.get(name), str) for name in ("made_of", "sha256"))
    )


@functools.cache
def _product() -> str:
    """SHA-256 over the product's files, and the versions of what draws and writes."""
    found = hashlib.sha256(platform.python_version().encode())
    for name in _LIBRARIES:
        found.update(f"{name} {metadata.version(name)}\n".encode())
    root = Path(str(resources.files("brokenseal")))
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if name != "__pycache__")
        for name in sorted(names):
            content = Path(folder, name).read_bytes()
            found.update(f"{os.path.relpath(folder, root)}/{name} {len(content)}\n".encode("utf-8", "surrogateescape"))
            found.update(content)
    return found.hexdigest()
