"""halmos, with branches decided over the integers when its own check gives up.

halmos gives z3 a millisecond for the question whether a branch can be taken, and takes it when there is no answer.
With products and quotients there hardly ever is one, so most paths it walks are impossible, above all those through
512-bit products that cannot occur. Here the question is asked again over the integers; only `unsat` of that, which is
exact, ends a path. Usage: as halmos.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import z3

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from halmos import sevm
from halmos.__main__ import main
from tools.prove.integers import Translation

MILLISECONDS = 150


def check(self: Any, condition: Any) -> Any:
    """In place of `Path.check`: the same answer, or `unsat` where that one is unknown."""
    found = self.solver.check(condition)
    if found != z3.unknown:
        return found
    translation = Translation([*self.solver.assertions(), condition])
    solver = z3.Solver()
    solver.set("timeout", MILLISECONDS)
    solver.add(*translation.constraints)
    return z3.unsat if solver.check() == z3.unsat else z3.unknown


if __name__ == "__main__":
    sevm.Path.check = check
    sys.exit(main())
