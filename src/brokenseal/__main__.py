"""`python -m brokenseal`."""

from brokenseal.cli import main

main()
