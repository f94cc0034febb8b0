"""The drill: simulated tenants, simulated intruders, and the truth about both.

Each module is one layer and a pure function from the tables of `tables.py` to the next ones. Nothing that the drill
writes happened: every tenant, person, address and message in it is *simulated*.
"""
