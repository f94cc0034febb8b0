"""Notices to victims: who is to be told what, and a record of what was sent.

    document + contacts ─ shares ─▶ what one victim may see ─ content ─▶ letters ─ plan ─▶ a file with a hash
                                              plan + hash ─ sending ─▶ SMTP or .eml, and the ledger of sending
                                    ledger + answers ─ status ─▶ who knows, who is silent, whom to write to next

Everything left of the hash is pure. `shares` is the only module that reads the case document; whatever writes a
notice knows one victim's share and nothing else.
"""
