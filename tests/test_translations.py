import importlib.util
import re
import string
from pathlib import Path

import pytest

from brokenseal.wording import LANGUAGES

SCRIPT = Path(__file__).parents[1] / "scripts" / "translations.py"
_spec = importlib.util.spec_from_file_location("translations_script", SCRIPT)
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)

SENTENCES = sorted(message.id for message in script.extracted() if message.id)
CATALOGUES = {lang: script.read_catalogue(lang) for lang in script.LANGUAGES}


def fields_of(template):
    return sorted(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)


def test_every_language_but_english_has_a_catalogue():
    assert ("en", *script.LANGUAGES) == LANGUAGES


def test_sentences_are_found_in_code_and_in_templates():
    assert {"Critical", "What happened", "Evidence: {n} record(s)", "Unified audit log"} <= set(SENTENCES)


@pytest.mark.parametrize("lang", script.LANGUAGES)
def test_every_sentence_is_translated(lang):
    missing = [text for text in SENTENCES if not (CATALOGUES[lang].get(text) and CATALOGUES[lang].get(text).string)]
    assert missing == [], "run scripts/translations.py and translate these"


@pytest.mark.parametrize("lang", script.LANGUAGES)
def test_translations_use_the_same_fields_as_the_sentence(lang):
    differing = {
        message.id: message.string
        for message in CATALOGUES[lang]
        if message.id and message.string and fields_of(message.id) != fields_of(message.string)
    }
    assert differing == {}


@pytest.mark.parametrize("lang", script.LANGUAGES)
def test_no_translation_is_a_guess_or_a_leftover(lang):
    catalogue = CATALOGUES[lang]
    assert [message.id for message in catalogue if message.fuzzy] == []
    assert list(catalogue.obsolete) == []
    assert {message.id for message in catalogue if message.id} == set(SENTENCES)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (r" [;!?:%»]|« ", "an ordinary space before a high mark or inside guillemets"),
        (r"[^\s\u202f][;!?](?=\s|$)", "no narrow space before ; ! ?"),
        (r"[^\s\u00a0]:(?=\s|$)", "no space before a colon"),
        (r"['\"“”]", "a straight or an English quotation mark"),
    ],
)
def test_french_is_set_as_french_is(wrong, why):
    texts = [message.string for message in CATALOGUES["fr"] if message.id and message.string]
    assert [text for text in texts if re.search(wrong, text)] == [], why


def test_the_files_are_what_the_script_writes():
    template = script.extracted()
    assert script.TEMPLATE.read_bytes() == script.as_bytes(template)
    for lang, catalogue in CATALOGUES.items():
        path = script.catalogue_path(lang)
        assert path.read_bytes() == script.as_bytes(script.updated(template, catalogue, lang))


def test_extraction_finds_what_is_marked_and_nothing_else(tmp_path):
    (tmp_path / "a.py").write_text('x = phrase("One {n}", n=1)\ny = other("Two")\n', encoding="utf-8")
    (tmp_path / "b.html.j2").write_text('{{ phrase("Three") }} Four', encoding="utf-8")
    catalogue = script.extracted(tmp_path)
    assert [message.id for message in catalogue if message.id] == ["One {n}", "Three"]
    content = script.as_bytes(catalogue).decode()
    assert "Date" not in content
    assert "#: a.py\n" in content


def test_a_translation_that_is_known_is_kept_and_one_that_is_not_needed_goes():
    template, known = script._empty(None), script._empty("fr")
    template.add("Kept")
    template.add("New")
    known.add("Kept", "Gardé")
    known.add("Gone", "Parti")
    updated = script.updated(template, known, "fr")
    assert {message.id: message.string for message in updated if message.id} == {"Kept": "Gardé", "New": ""}
