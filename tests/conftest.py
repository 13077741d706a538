"""Hypothesis profiles. `HYPOTHESIS_PROFILE` chooses one; the default is the same on every machine and in every run.

* `ci`   the default: derandomised, so a failure is repeatable and a green run stays green
* `dev`  as many examples, new ones every run
* `deep` many more, new ones every run; for `make fuzz` and for long nights
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

PROFILES = {
    "ci": settings(max_examples=100, derandomize=True, deadline=None, database=None, print_blob=True),
    "dev": settings(max_examples=100, deadline=None, print_blob=True),
    "deep": settings(max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]),
}


def pytest_configure() -> None:
    for name, profile in PROFILES.items():
        settings.register_profile(name, profile)
    chosen = os.environ.get("HYPOTHESIS_PROFILE", "ci")
    if chosen not in PROFILES:
        raise pytest.UsageError(f"HYPOTHESIS_PROFILE={chosen} is unknown; use one of {', '.join(PROFILES)}")
    settings.load_profile(chosen)
