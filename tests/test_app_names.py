"""The list of application names is data: well-formed, dated, and for display only."""

import ast
import re
from pathlib import Path

import brokenseal
from brokenseal.app_names import APP_NAMES, AS_OF, client_label


def test_every_line_has_a_folded_id_a_name_a_role_and_its_source():
    assert len(APP_NAMES) == len({app.app_id for app in APP_NAMES})
    assert re.fullmatch(r"20\d\d-[01]\d", AS_OF)
    for app in APP_NAMES:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", app.app_id)
        assert app.name
        assert app.role
        assert app.source.startswith("github.com/")


def test_a_known_application_is_shown_with_its_id():
    assert (
        client_label("9199bf20-a13f-4107-85dc-02114787ef48") == "Outlook Web App (9199bf20-a13f-4107-85dc-02114787ef48)"
    )


def test_an_unknown_client_is_shown_as_it_is_stored():
    assert client_label("proto:OWA") == "proto:OWA"
    assert client_label("768fb398-0000-0000-0000-000000000000") == "768fb398-0000-0000-0000-000000000000"


def test_nothing_that_judges_reads_the_names():
    package = Path(brokenseal.__file__).parent
    judging = [*package.glob("detectors/*.py"), package / "findings.py", package / "scope.py"]
    for path in filter(Path.exists, judging):
        imported = {
            node.module for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)
        }
        assert "brokenseal.app_names" not in imported, path.name
