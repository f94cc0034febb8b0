"""Tokens: what they say, whether they may be believed, whom a stolen key could have been, and what they did."""
