"""What a person needs to check a case by hand, one file per question: each reads the tables and gives frozen values."""
