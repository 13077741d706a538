"""The solver that halmos calls: reads one query in SMT-LIB, prints `sat` with a model, `unsat` or `unknown`.

Usage: solver.py [--seconds N] [--first SECONDS] FILE

A portfolio, one process at a time: bit-blasting (yices) for what is mostly logic, for a moment; the same query over the
integers (z3, cvc5) for multiplication and division; bit-blasting again for the
time that is left. `unsat` over the integers is `unsat`; a model over the integers counts only if the query itself,
evaluated with it, is true.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import z3

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.prove.integers import Translation


def bit_blast(path: str, seconds: float) -> str | None:
    """The answer of yices, with its model; None when it finds none in time."""
    program = shutil.which("yices-smt2") or str(Path(sys.executable).parent / "yices-smt2")
    try:
        done = subprocess.run(
            [program, "--bvconst-in-decimal", path], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.stdout.startswith(("sat", "unsat")) else None


def printed(pairs: list[tuple[Any, Any]]) -> str:
    """A model as halmos reads it: only variables have a name."""
    lines = [
        f"(define-fun |{e.decl().name()}| () (_ BitVec {e.size()}) (_ bv{value.as_long()} {e.size()}))"
        for e, value in pairs
        if e.num_args() == 0
    ]
    return "sat\n(\n" + "\n".join(lines) + "\n)\n"


def holds(assertions: list[Any], pairs: list[tuple[Any, Any]]) -> bool:
    """Whether the query is true under the values of its variables; what is said about whole arrays is not looked at."""
    variables = [(e, value) for e, value in pairs if e.num_args() == 0]
    for assertion in assertions:
        value = z3.simplify(z3.substitute(assertion, *variables))
        if not z3.is_true(value) and "(store" not in assertion.sexpr():
            return False
    return True


def by_cvc5(translation: Translation, seconds: float) -> bool:
    """Whether cvc5 finds the translation unsatisfiable."""
    import cvc5

    solver = z3.Solver()
    solver.add(*translation.constraints)
    text = "(set-logic QF_NIA)\n" + solver.to_smt2().replace("(set-info :status unknown)", "")
    engine = cvc5.Solver()
    engine.setOption("tlimit-per", str(int(seconds * 1000)))
    engine.setOption("nl-ext-tplanes", "true")
    engine.setOption("nl-cov", "false")
    parser = cvc5.InputParser(engine)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text.replace("(check-sat)", ""), "query")
    symbols = parser.getSymbolManager()
    while not (command := parser.nextCommand()).isNull():
        command.invoke(engine, symbols)
    return bool(engine.checkSat().isUnsat())


def answer(path: str, seconds: float, first: float) -> str:
    deadline = time.monotonic() + seconds
    found = bit_blast(path, min(first, seconds))
    if found is not None:
        return found
    assertions = list(z3.parse_smt2_file(path))
    translation = Translation(assertions)
    for share in (0.15, 1.0):
        budget = (deadline - time.monotonic()) * share
        solver = z3.Solver()
        solver.set("timeout", max(int(budget * 300), 1))
        solver.add(*translation.constraints)
        result = solver.check()
        if result == z3.unsat:
            return "unsat\n"
        if result == z3.sat:
            pairs = translation.candidate(solver.model())
            if holds(assertions, pairs):
                return printed(pairs)
        if by_cvc5(translation, budget * 0.3):
            return "unsat\n"
        found = bit_blast(path, budget * 0.3)
        if found is not None:
            return found
    return "unknown\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=float, default=0.2)
    parser.add_argument("file")
    options = parser.parse_args()
    sys.stdout.write(answer(options.file, options.seconds, options.first))


if __name__ == "__main__":
    main()
