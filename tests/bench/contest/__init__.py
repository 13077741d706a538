"""Keepers side by side: the same chain, the same crash, the same accounts, one keeper after the other."""
