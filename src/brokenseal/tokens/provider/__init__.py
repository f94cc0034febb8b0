"""A provider to break: a small identity provider and mail service on loopback, in two builds, all of it simulated.

    token ─ gate (faulty or mended) ─▶ mail service ─▶ audit records ┐
    sign-in ─ identity provider ─▶ token, sign-in records ───────────┴▶ exports, as Microsoft 365 writes them

The faulty build repeats the fault of 2022: it checks a token's signature against every key that is published
anywhere, and never asks whether that key may speak for the issuer that the token names. The mended build asks
`tokens.verify`.
Nothing here knows how the product reads logs, so that it cannot flatter it.
"""
