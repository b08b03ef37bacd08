"""Names that are one animal, and names that are two: planted among real cats and antelopes, found and falsely suspected.

    python -m benchmarks.individual_suspects [--draws 3] [--only cats|nyala] [--write FILE]

`twice`: half of an animal's pictures, drawn at random, get another name; each animal in turn. `two`: all pictures of two animals
get one name; each pair in turn. A false suspicion is any other one. `clean`: the true names. Wilson's intervals stand beside the
shares.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
from numpy.typing import NDArray

from benchmarks.individual_common import individual_options, write_figures
from benchmarks.individuals import photographs
from scd_core.audit.individuals.suspects import find_suspects
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.names import NameSuspicion


def planted(ids: NDArray[np.str_], n_draws: int) -> dict[str, list[tuple[NDArray[np.str_], set[str]]]]:
    """Names with something wrong, and which names that is."""
    kinds = sorted(set(ids))
    worlds: dict[str, list[tuple[NDArray[np.str_], set[str]]]] = {"clean": [(ids, set())], "twice": [], "two": []}
    for seed, name in itertools.product(range(n_draws), kinds):
        places = np.flatnonzero(ids == name)
        names = ids.astype("<U40")
        names[np.random.default_rng(seed).permutation(places)[: len(places) // 2]] = f"{name} again"
        worlds["twice"].append((names, {name, f"{name} again"}))
    for one, other in itertools.combinations(kinds, 2):
        names = ids.astype("<U40")
        names[names == other] = one
        worlds["two"].append((names, {one}))
    return worlds


def measure(title: str, features: NDArray[np.float32], ids: NDArray[np.str_], n_draws: int) -> dict[str, object]:
    """Shares found, and false suspicions."""
    figures: dict[str, object] = {"title": title}
    for world, cases in planted(ids, n_draws).items():
        kind = NameSuspicion.ONE_ANIMAL if world == "twice" else NameSuspicion.TWO_ANIMALS
        n_found, n_first, n_false, n_hit_with_false = 0, 0, 0, 0
        for names, wanted in cases:
            found = find_suspects(features, names.tolist())
            right = [one for one in found if one.kind == kind and set(one.names) == wanted]
            n_found += bool(right)
            n_first += bool(found) and found[0] in right
            n_false += len(found) - len(right)
            n_hit_with_false += len(found) > len(right)
        low, high = wilson_interval(n_found / len(cases), len(cases))
        figures[world] = {
            "n": len(cases),
            "found": n_found / len(cases),
            "low": float(low),
            "high": float(high),
            "listed_first": n_first / len(cases),
            "false_suspicions": n_false,
            "worlds_with_false": n_hit_with_false,
        }
    return figures


def main() -> None:
    """Print the figures."""
    args = individual_options(__doc__, 3, ["cats", "nyala"], "halvings of each animal").parse_args()
    results = []
    for name in ("cats", "nyala"):
        if args.only in (None, name):
            features, ids, _ = photographs(name)
            results.append(measure(name, features, ids, args.draws))
            print(json.dumps(results[-1], indent=1), flush=True)
    write_figures(args.write, results)


if __name__ == "__main__":
    main()
