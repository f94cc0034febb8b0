"""A report in its place: written, or left alone where it stands already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.cli.output import note, write

if TYPE_CHECKING:
    from pathlib import Path

    from brokenseal.helper import Helper
    from brokenseal.model import CaseDocument, Reading


def put_report(
    document: CaseDocument,
    target: Path,
    store: Path,
    *,
    form: str,
    lang: str,
    reading: Reading | None = None,
    helper: Helper | None = None,
) -> bool:
    """Write a report, and note it in the store; say so where the file is what would be written.

    Args:
        document: What is said in it.
        target: The file.
        store: Folder of the store.
        form: Format.
        lang: Language.
        reading: For whom; None for the analyst.
        helper: Renders it, where there is one.

    Returns: Whether it was written.

    Raises:
        UsageError: The target cannot be written, or the marking is no level of TLP 2.0.
    """
    from brokenseal import written

    how = (reading.reader, reading.tlp, str(reading.in_full)) if reading is not None else ()
    made = written.made_of(document, form, lang, *how)
    if written.stands(store, target, made):
        note(f"{target}: nothing has changed since it was written")
        return False
    from brokenseal import investigate as path

    packed = None if helper is None else path.packed(document)
    if helper is None or packed is None:
        content = path.render(document, form, lang, reading)
    else:
        content = helper.do(path.render_packed, packed, form, lang, reading)()
    write(target, content)
    written.note_written(store, target, made, content)
    return True
