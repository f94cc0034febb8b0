"""Words that a reader who does not live in audit logs has to look up."""

from __future__ import annotations

from brokenseal.wording import phrase

GLOSSARY = (
    (
        phrase("Certain, possible, unknowable"),
        phrase(
            "Certain: a record lists the message. Possible: the message stood in a folder that went to a client as a "
            "whole. Unknowable: the logs leave room for more, and no record can say how much."
        ),
    ),
    (
        phrase("MailItemsAccessed"),
        phrase(
            "The audit record that Exchange Online writes when a client reads mail. Without it nobody can say which "
            "messages were read."
        ),
    ),
    (
        phrase("Bind"),
        phrase("Access to single messages. The record lists each message by its Message-ID."),
    ),
    (
        phrase("Sync"),
        phrase(
            "A client such as Outlook for the desktop copied a folder. The record names the folder, not the "
            "messages, so all that the folder held counts as possibly read."
        ),
    ),
    (
        phrase("Throttled"),
        phrase(
            "After about 1,000 access records in a day Exchange stops auditing single accesses to a mailbox for "
            "24 hours. What was read in that time is unknowable."
        ),
    ),
    (
        phrase("Session id"),
        phrase("One sign-in and all that grew out of it. Two places in one session may be one stolen session."),
    ),
    (
        phrase("Token id"),
        phrase(
            "Every access token has an identifier. A token that read mail and that no sign-in log ever shows being "
            "issued may be forged."
        ),
    ),
    (
        phrase("Client"),
        phrase(
            "The program that asked for the mail, as the log writes it. A client can call itself what it likes: its "
            "name proves nothing."
        ),
    ),
    (
        phrase("Consent"),
        phrase("A grant by which an application may act in a mailbox without its owner's password."),
    ),
    (
        phrase("Case, finding, evidence"),
        phrase(
            "Evidence is a record. A finding is what one detector concludes from records. A case joins findings that "
            "share an account, a session, an address, an application or a victim."
        ),
    ),
    (
        phrase("Quarantine"),
        phrase("Records that could not be read. They are kept with the reason, and nothing is concluded from them."),
    ),
    (
        phrase("ATT&CK"),
        phrase("The public catalogue of attackers' techniques kept by MITRE. Ids such as T1114.002 refer to it."),
    ),
)
