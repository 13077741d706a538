"""Thin entry points for `ape run`; everything they do is in the package."""
