"""pySigma processing pipelines for the logs of Microsoft 365 and Entra.

`pipeline_for` gives the pipeline of one log; it renames fields by `vocabulary`, says what a rule says of an outcome in
the log's own words, and fills in placeholders. It works with any pySigma backend; names that no row of the vocabulary
has are cleared of prefixes and passed on.
"""

from __future__ import annotations

from collections.abc import Iterable  # noqa: TC003 - pySigma reads the annotations of transformations at run time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations.base import FieldMappingTransformationBase, ValueTransformation
from sigma.processing.transformations.placeholder import ValueListPlaceholderTransformation
from sigma.types import SigmaRegularExpression, SigmaString, SigmaType

from brokenseal.sigma.vocabulary import DIRECTORY, SIGN_INS, UNIFIED_AUDIT, Log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass
class VocabularyTransformation(FieldMappingTransformationBase):
    """Rename the fields of a rule to what the vocabulary of a log calls them."""

    log: Log

    def apply_field_name(self, field: str | None) -> str | list[str] | None:
        """The names of the record's fields; keywords stay keywords."""
        if field is None:
            return None
        return [each.name for each in self.log.fields(field)]


@dataclass
class WordsTransformation(ValueTransformation):
    """Replace a word of a rule by the words that a log writes in a field for the same thing.

    `words` has field and word, folded; a value that begins with `^` is a regular expression.
    """

    words: Mapping[tuple[str, str], Sequence[str]]

    def apply_value(self, field: str | None, val: SigmaType) -> SigmaType | Iterable[SigmaType] | None:
        """The replacements, or None to leave the value as it is."""
        if field is None or type(val) is not SigmaString or val.contains_placeholder():
            return None
        found = self.words.get((field.lower(), str(val).lower()))
        if found is None:
            return None
        return [SigmaRegularExpression(each) if each.startswith("^") else SigmaString(each) for each in found]


# What the unified audit log writes for success differs by workload.
_SUCCESS: Final = ("Success", "Succeeded", "PartiallySucceeded", "True")
_FAILURE: Final = ("Failed", "Failure", "False")
_WORDS: Final[Mapping[str, Mapping[tuple[str, str], Sequence[str]]]] = {
    UNIFIED_AUDIT.source: {
        ("resultstatus", "success"): _SUCCESS,
        ("resultstatus", "succeeded"): _SUCCESS,
        ("resultstatus", "failure"): _FAILURE,
        ("resultstatus", "failed"): _FAILURE,
    },
    SIGN_INS.source: {
        # The portal says words, the record has a number: 0 for success.
        ("resulttype", "success"): ("0",),
        ("resulttype", "failure"): ("^[1-9][0-9]*$",),
        ("resulttype", "failed"): ("^[1-9][0-9]*$",),
        # The message of a sign-in is its protocol, which the portal names otherwise.
        ("authenticationprotocol", "device code"): ("deviceCode",),
        ("authenticationprotocol", "authentication transfer"): ("authenticationTransfer",),
        ("operationname", "sign-ins"): ("Sign-in activity",),
        # Names of clients in the portal's filter, and in the record.
        ("clientappused", "other client"): ("Other clients*",),
        ("clientappused", "imap"): ("IMAP4", "IMAP"),
        ("clientappused", "pop3"): ("POP3", "POP"),
        ("clientappused", "mapi"): ("MAPI Over HTTP", "MAPI"),
        ("clientappused", "smtp"): ("Authenticated SMTP", "SMTP"),
    },
    DIRECTORY.source: {
        ("result", "succeeded"): ("success",),
        ("result", "failed"): ("failure",),
        ("targetresources.type", "service principal"): ("ServicePrincipal",),
    },
}


def pipeline_for(log: Log, values: Mapping[str, Sequence[str]] | None = None) -> ProcessingPipeline:
    """The pipeline of a log.

    Args:
        log: A row of `vocabulary.LOGS`.
        values: Placeholder to its values, for `%placeholder%` of rules with the modifier `expand`.
    """
    given: dict[str, Any] = {name: list(each) for name, each in (values or {}).items() if each}
    items = [ProcessingItem(identifier="fields", transformation=VocabularyTransformation(log=log))]
    words = _WORDS.get(log.source)
    if words:
        items.append(ProcessingItem(identifier="words", transformation=WordsTransformation(words=words)))
    if given:
        transformation = ValueListPlaceholderTransformation(include=sorted(given))
        items.append(ProcessingItem(identifier="values", transformation=transformation))
    return ProcessingPipeline(name=f"brokenseal {log.source}", items=items, vars=given, priority=20)
