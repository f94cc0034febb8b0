"""Names and tactics of the ATT&CK techniques that detectors name, as ATT&CK Enterprise 18 has them.

Source: MITRE ATT&CK, Enterprise matrix, version 18 (October 2025). Version 19 split the tactic `defense-evasion` and
gave some techniques other numbers; the detectors speak of version 18, and every export says so.
"""

from __future__ import annotations

from typing import Final, NamedTuple

VERSION: Final = "18"

_EVASION: Final = "defense-evasion"
_PERSISTENCE: Final = "persistence"
_ESCALATION: Final = "privilege-escalation"
_CREDENTIALS: Final = "credential-access"
_LATERAL: Final = "lateral-movement"
_COLLECTION: Final = "collection"
_ACCESS: Final = "initial-access"


class Technique(NamedTuple):
    """One technique: its number, its own name (without that of its parent), and its tactics."""

    id: str
    name: str
    tactics: tuple[str, ...]

    @property
    def url(self) -> str:
        """Its page."""
        return f"https://attack.mitre.org/versions/v{VERSION}/techniques/{self.id.replace('.', '/')}/"


TECHNIQUES: Final = (
    Technique("T1036.005", "Match Legitimate Resource Name or Location", (_EVASION,)),
    Technique("T1078.004", "Cloud Accounts", (_EVASION, _PERSISTENCE, _ESCALATION, _ACCESS)),
    Technique("T1098.001", "Additional Cloud Credentials", (_PERSISTENCE, _ESCALATION)),
    Technique("T1098.002", "Additional Email Delegate Permissions", (_PERSISTENCE, _ESCALATION)),
    Technique("T1098.003", "Additional Cloud Roles", (_PERSISTENCE, _ESCALATION)),
    Technique("T1098.005", "Device Registration", (_PERSISTENCE, _ESCALATION)),
    Technique("T1110", "Brute Force", (_CREDENTIALS,)),
    Technique("T1110.001", "Password Guessing", (_CREDENTIALS,)),
    Technique("T1110.003", "Password Spraying", (_CREDENTIALS,)),
    Technique("T1114.002", "Remote Email Collection", (_COLLECTION,)),
    Technique("T1114.003", "Email Forwarding Rule", (_COLLECTION,)),
    Technique("T1119", "Automated Collection", (_COLLECTION,)),
    Technique("T1136.003", "Cloud Account", (_PERSISTENCE,)),
    Technique("T1137.005", "Outlook Rules", (_PERSISTENCE,)),
    Technique("T1484.002", "Trust Modification", (_EVASION, _ESCALATION)),
    Technique("T1528", "Steal Application Access Token", (_CREDENTIALS,)),
    Technique("T1539", "Steal Web Session Cookie", (_CREDENTIALS,)),
    Technique("T1550.001", "Application Access Token", (_EVASION, _LATERAL)),
    Technique("T1550.004", "Web Session Cookie", (_EVASION, _LATERAL)),
    Technique("T1556.006", "Multi-Factor Authentication", (_CREDENTIALS, _EVASION, _PERSISTENCE)),
    Technique("T1557", "Adversary-in-the-Middle", (_CREDENTIALS, _COLLECTION)),
    Technique("T1562.008", "Disable or Modify Cloud Logs", (_EVASION,)),
    Technique("T1564.008", "Email Hiding Rules", (_EVASION,)),
    Technique("T1566.002", "Spearphishing Link", (_ACCESS,)),
    Technique("T1606", "Forge Web Credentials", (_CREDENTIALS,)),
    Technique("T1606.002", "SAML Tokens", (_CREDENTIALS,)),
)

_BY_ID: Final = {each.id: each for each in TECHNIQUES}


def technique(number: str) -> Technique:
    """The technique of that number; one that is not listed keeps its number for a name and has no tactic."""
    return _BY_ID.get(number) or Technique(number, number, ())
