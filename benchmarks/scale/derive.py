"""Derive errors and slices of an audit and draw its page, measured: ``python -m benchmarks.scale.derive OUT SCRATCH``.

Prints one JSON object: numbers of rows, seconds with the imports, processor seconds, peak memory, the first slices found.
"""

from __future__ import annotations

import json
import resource
import sys
import time

started = time.perf_counter()

from benchmarks.memory import peak_mib  # noqa: E402 - imports are part of what is measured
from scd_core.audit.report.refresh import refresh_report_tables  # noqa: E402
from scd_core.audit.report.write import write_report  # noqa: E402
from scd_core.config import AuditConfig  # noqa: E402


def main() -> None:
    """Derive, draw, print."""
    config = AuditConfig()
    errors, slices, _ = refresh_report_tables(sys.argv[1], config, threads=2, scratch=sys.argv[2])
    derived = time.perf_counter() - started
    found = [row["sentence"] for row in slices.to_pylist() if row["is_systematic"] and row["folded_into"] is None]
    counts = {"errors": len(errors), "slices": len(slices)}
    del errors, slices
    write_report(sys.argv[1], config)
    measured = {
        "seconds_derive": derived,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
        "peak_gb": peak_mib() / 1024,
        "found": found[:3],
    }
    print(json.dumps(counts | measured))


if __name__ == "__main__":
    main()
