"""Deployment: parameters from YAML, one deploy function for scripts, tests and replays, comparison with a chain."""
