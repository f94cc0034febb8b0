import pytest

from brokenseal.reports import REPORTERS
from reports.documents import empty_document, hostile_document, rich_document

DOCUMENTS = {"rich": rich_document(), "hostile": hostile_document(), "empty": empty_document("cannot_tell")}


def test_names_and_media_types_are_known_and_differ():
    assert [reporter.name for reporter in REPORTERS] == ["html", "pdf", "docx", "xlsx", "json", "md", "csv"]
    assert len({reporter.media_type for reporter in REPORTERS}) == len(REPORTERS)


@pytest.mark.parametrize(("name", "lang"), [("rich", "en"), ("hostile", "fr"), ("empty", "fr")])
@pytest.mark.parametrize("reporter", REPORTERS, ids=lambda reporter: reporter.name)
def test_every_reporter_renders_every_document_in_every_language(reporter, name, lang):
    content = reporter.render(DOCUMENTS[name], lang)
    assert isinstance(content, bytes)
    assert content


@pytest.mark.parametrize(
    "reporter",
    [reporter for reporter in REPORTERS if reporter.name in {"html", "pdf", "docx", "xlsx", "md"}],
    ids=lambda reporter: reporter.name,
)
def test_an_unknown_language_is_refused_by_reports_with_words(reporter):
    with pytest.raises(ValueError, match="language 'xx'"):
        reporter.render(DOCUMENTS["rich"], "xx")
