"""Benchmarks: measured by commands, never asserted on time."""
