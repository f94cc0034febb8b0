"""The forgery corpus: every class of token that a strict verifier refuses, one module per family."""

from __future__ import annotations

from typing import Final

from brokenseal.tokens.forgeries import (
    algorithms,
    audiences,
    claims,
    encodings,
    headers,
    issuers,
    keys,
    kinds,
    signatures,
    structure,
    tenants,
    times,
)

FORGERIES: Final = (
    *keys.FORGERIES,
    *algorithms.FORGERIES,
    *headers.FORGERIES,
    *signatures.FORGERIES,
    *issuers.FORGERIES,
    *tenants.FORGERIES,
    *audiences.FORGERIES,
    *kinds.FORGERIES,
    *claims.FORGERIES,
    *times.FORGERIES,
    *structure.FORGERIES,
    *encodings.FORGERIES,
)
"""Every class of forgery, in the order of reports."""
