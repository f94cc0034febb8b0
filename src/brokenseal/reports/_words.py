"""What the values of the document are called, and sentences taken apart for renderers.

A word that no table here knows is shown as the log or the detector wrote it.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Literal

from brokenseal.wording import format_value, phrase, say, translations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.model import CaseDocument
    from brokenseal.wording import Phrase

PieceKind = Literal["words", "value", "log"]

SEVERITY = {
    "critical": phrase("Critical"),
    "high": phrase("High"),
    "medium": phrase("Medium"),
    "low": phrase("Low"),
}

VERDICT = {
    "found": phrase("Signs of an intrusion"),
    "nothing_found": phrase("Nothing found"),
    "cannot_tell": phrase("The logs cannot tell"),
}

NO_CASE = phrase("No case found")

SIMULATED = phrase("Simulated: these logs are of a tenant that Brokenseal made up. Nobody's mail was read.")


def notices(document: CaseDocument) -> int:
    """How many findings are worth a look without making a case, those beyond their budget too."""
    return len(document.notices) + document.notices_left_out


def verdict(document: CaseDocument) -> Phrase:
    """The verdict in short; what is worth a look is something that was found."""
    kind = document.verdict.kind
    return NO_CASE if kind == "nothing_found" and notices(document) else VERDICT[kind]


def headline(document: CaseDocument) -> Phrase:
    """The verdict in a sentence, which names what is worth a look where there is no case."""
    count = notices(document)
    if document.cases or not count:
        return document.verdict.headline
    if document.verdict.kind == "cannot_tell":
        return phrase(
            "No case stands, but these logs could not have shown everything; {n} finding(s) are worth a look in "
            "office hours.",
            n=count,
        )
    return phrase(
        "No case stands, and the kinds of logs that would have shown one are there; {n} finding(s) are worth a look in "
        "office hours.",
        n=count,
    )


def left_out(count: int) -> Phrase:
    """How many notices are counted and not shown."""
    return phrase("{n} lighter notice(s) are beyond the budget of notices and not shown.", n=count)


KIND = {
    "certain": phrase("Certain"),
    "possible": phrase("Possible"),
    "unknowable": phrase("Unknowable"),
}

KIND_MEANS = {
    "certain": phrase("Messages that a record lists. They were read."),
    "possible": phrase(
        "Messages that may have been read: they stood in folders that went to a client as a whole, only reads that may "
        "be authorised list them, or a rule sent such mail on."
    ),
    "unknowable": phrase("Spans of time in which more may have been read than any record shows."),
}

STATE = {
    "fired": phrase("Found something"),
    "quiet": phrase("Found nothing"),
    "not_assessable": phrase("Could not be assessed"),
}

CONFIDENCE = {
    "high": phrase("high"),
    "moderate": phrase("moderate"),
    "low": phrase("low"),
}

RESULT = {
    "supported": phrase("supported by records"),
    "cannot_tell": phrase("cannot be told"),
    "refuted": phrase("refuted by records"),
}

STANDING = {
    "opens": phrase("opened it"),
    "joins": phrase("joined it by weight"),
    "follows": phrase("the same client later"),
    "cited": phrase("cited by a finding"),
}

TRUTH = {
    True: phrase("yes"),
    False: phrase("no"),
    None: phrase("the logs do not say"),
}

OPEN_REASON = {
    "throttled": phrase("Auditing was throttled"),
    "audit_bypassed": phrase("Auditing was bypassed or off"),
    "records_without_items": phrase("Records that list no messages"),
    "no_mail_access_log": phrase("No mail access log"),
    "items_unnamed": phrase("Messages without an identifier"),
    "door_unlogged": phrase("A right to read what is not logged"),
    "forwarded_untraced": phrase("Mail sent on without a trace"),
}

POSSIBLE_REASON = {
    "may_be_own": phrase(
        "Only in reads that may be authorised people's own: they use the address as well, or little speaks against the "
        "session"
    ),
    "forwarded": phrase("Arrived under a rule that sent it on"),
    "forwarded_sent": phrase("Arrived under a rule that sent it on, and a message trace shows the copy"),
    "forwarded_unclear": phrase("Arrived under a rule that may have sent it on; no record settles its conditions"),
}

ALARM = {
    "at_cap": phrase("Export ends at a known limit"),
    "result_count_above": phrase("Export holds less than it announces"),
    "flattened": phrase("Export lost nested fields"),
    "truncated_json": phrase("Truncated records"),
    "gap": phrase("Hours without records"),
    "clock": phrase("Doubtful times"),
    "unreadable": phrase("Unreadable input"),
}

OUTCOME = {
    "ingested": phrase("read"),
    "unchanged": phrase("seen before"),
    "not_an_audit_log": phrase("no audit log"),
    "empty": phrase("empty"),
    "unreadable": phrase("unreadable"),
}

QUARANTINE = {
    "empty_record": phrase("the record holds no content"),
    "not_json": phrase("no JSON, or truncated JSON"),
    "not_text": phrase("bytes that are no text"),
    "row_malformed": phrase("another number of cells than the header"),
    "field_missing": phrase("a field is missing"),
    "field_invalid": phrase("a field cannot be read"),
    "unknown_shape": phrase("a shape that is not known"),
    "too_large": phrase("too large"),
    "too_deep": phrase("nested too deep"),
}

CANNOT_TELL = {
    "no_token_id": phrase("the record carries no token id"),
    "opaque_token_id": phrase("the token id cannot be decoded"),
    "background_service": phrase("a service of Microsoft's asked, without a sign-in of the customer's"),
    "foreign_tenant": phrase("the sign-in is in another tenant's log"),
    "no_issued_at": phrase("the record does not say when the token was issued"),
    "sign_ins_absent": phrase("there is no sign-in log"),
    "non_interactive_absent": phrase("there is no log of non-interactive sign-ins"),
    "outside_sign_in_window": phrase("the token was issued at a time that the sign-in logs do not cover"),
    "too_recent": phrase("the sign-in may not have reached the log yet"),
    "only_failed_sign_in": phrase("of the sign-in only a failed or interrupted record is there"),
    "low_match_rate": phrase("too few tokens of this client have their sign-in in the log"),
}

# Names of MITRE ATT&CK (Enterprise) techniques are proper names: they are not translated.
ATTACK: Mapping[str, str] = {
    "T1036.005": "Match Legitimate Resource Name or Location",
    "T1070.008": "Clear Mailbox Data",
    "T1078": "Valid Accounts",
    "T1078.004": "Cloud Accounts",
    "T1087.003": "Email Account",
    "T1087.004": "Cloud Account Discovery",
    "T1090": "Proxy",
    "T1098": "Account Manipulation",
    "T1098.001": "Additional Cloud Credentials",
    "T1098.002": "Additional Email Delegate Permissions",
    "T1098.003": "Additional Cloud Roles",
    "T1098.005": "Device Registration",
    "T1110": "Brute Force",
    "T1110.001": "Password Guessing",
    "T1110.003": "Password Spraying",
    "T1110.004": "Credential Stuffing",
    "T1114": "Email Collection",
    "T1114.002": "Remote Email Collection",
    "T1114.003": "Email Forwarding Rule",
    "T1119": "Automated Collection",
    "T1136.003": "Create Cloud Account",
    "T1199": "Trusted Relationship",
    "T1213": "Data from Information Repositories",
    "T1484.002": "Trust Modification",
    "T1528": "Steal Application Access Token",
    "T1531": "Account Access Removal",
    "T1534": "Internal Spearphishing",
    "T1539": "Steal Web Session Cookie",
    "T1550": "Use Alternate Authentication Material",
    "T1550.001": "Application Access Token",
    "T1550.004": "Web Session Cookie",
    "T1556": "Modify Authentication Process",
    "T1556.006": "Multi-Factor Authentication",
    "T1556.007": "Hybrid Identity",
    "T1562": "Impair Defenses",
    "T1562.008": "Disable or Modify Cloud Logs",
    "T1564.008": "Email Hiding Rules",
    "T1566": "Phishing",
    "T1566.002": "Spearphishing Link",
    "T1567": "Exfiltration Over Web Service",
    "T1606": "Forge Web Credentials",
    "T1606.001": "Web Cookies",
    "T1606.002": "SAML Tokens",
    "T1621": "Multi-Factor Authentication Request Generation",
    "T1671": "Cloud Application Integration",
}


def word(table: Mapping[str, Phrase], code: str, lang: str) -> str:
    """The word for a code, or the code itself where no word is known."""
    return say(table[code], lang) if code in table else code


def pieces(sentence: Phrase, lang: str) -> tuple[tuple[str, PieceKind], ...]:
    """The sentence in the language, taken apart, so that values can be set apart and escaped alone.

    `words` are ours, a `value` is a number or a time, `log` is text from the logs. Joined together the texts are what
    `wording.say` gives. Braces inside a value are never read as fields.
    """
    template = translations(lang).gettext(sentence.template) if sentence.template else ""
    parts: list[tuple[str, PieceKind]] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        if literal:
            parts.append((literal, "words"))
        if name is not None:
            value = sentence.values[name]
            parts.append((format_value(value, lang), "log" if isinstance(value, str) else "value"))
    return tuple(parts)


def attack_name(technique: str) -> str:
    """Id and name of an ATT&CK technique; the id alone where the name is not listed."""
    return f"{technique} {ATTACK[technique]}" if technique in ATTACK else technique
