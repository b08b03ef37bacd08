"""Which systematic slice stands for an error where two errors meet in one slice, or one visit is of two."""

import numpy as np

from tests.audit.test_slices import slices

OTHERS = list("BCDEFGHIJKLMNOP")


def shown(rows):
    """Slices that a report shows: their keys and values -> the cause."""
    found = [row for row in slices(rows) if row["is_systematic"] and row["folded_into"] is None]
    return {tuple(sorted(map(tuple, row["slice"]))): row["cause"] for row in found}


def ordinary(seed=0, n=600):
    """Visits at ten cameras, one in twenty misnamed."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        true = str(rng.choice(OTHERS))
        rows.append((f"C{rng.integers(10):02d}", true, str(rng.choice(OTHERS)) if rng.random() < 0.05 else true))
    return rows


def of_a(names, cause=None):
    """Visits of A that are given these names, at one camera after the other."""
    causes = {"cause": cause} if cause else {}
    return [(f"C{place % 10:02d}", "A", name, {} if name == "A" else causes) for place, name in enumerate(names)]


def test_of_two_kinds_of_errors_of_one_individual_the_one_with_a_cause_stands():
    """A looks like B, and is also given a dozen other names: 'A errs, nobody knows why' would hide what is known."""
    alike = [*of_a(["B"] * 11, "confusable_pair"), *of_a(["B"] * 3)]
    found = shown([*ordinary(), *alike, *of_a(OTHERS[1:13]), *of_a(["A"] * 20)])
    assert found[(("pair", "A -> B"),)] == "confusable_pair"
    assert found[(("true_id", "A"),)] == "unexplained", "the dozen other names are an error too"


def test_a_name_without_a_cause_takes_nothing_from_the_individual():
    found = shown([*ordinary(), *of_a(["B"] * 14), *of_a(OTHERS[1:13]), *of_a(["A"] * 20)])
    assert list(found) == [(("true_id", "A"),)]


def test_a_name_that_few_of_the_errors_have_takes_nothing_from_the_individual():
    alike = of_a(["B"] * 6, "confusable_pair")
    found = shown([*ordinary(), *alike, *of_a(OTHERS[1:13]), *of_a(["A"] * 20)])
    assert found[(("true_id", "A"),)] == "unexplained"
    assert (("pair", "A -> B"),) not in found
