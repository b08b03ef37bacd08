"""The count of causes at real places: by hand, on a station of which all is known."""

from __future__ import annotations

from benchmarks.audit.places import count_causes
from benchmarks.real.sets import RealSet
from scd_core.audit.labels.importing import import_labels
from tests.audit.audit_builder import AuditBuilder, minutes


def test_home_errors_and_others_are_counted_by_cause(tmp_path):
    """At C01, the home of H, four others are called H three times each, and E is called A once; elsewhere all is right."""
    visits = [("C01", one, "H") for one in "ABCD" for _ in range(3)] + [("C01", "E", "A")]
    visits += [("C02", one, one) for one in "ABCDE" for _ in range(8)]
    builder = AuditBuilder(tmp_path / "out", individuals=list("ABCDEH"))
    labels, truth = ["file,individual_id"], ["file,individual_id,home_of"]
    for place, (camera, true, called) in enumerate(visits):
        builder.predict(f"v{place}.jpg", called, 0.7, camera=camera, at=minutes(90 * place))
        labels.append(f"v{place}.jpg,{true}")
        truth.append(f"v{place}.jpg,{true},{'H' if camera == 'C01' else 'E'}")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "truth.csv").write_text("\n".join(truth) + "\n")
    (tmp_path / "labels.csv").write_text("\n".join(labels) + "\n")
    out = builder.write()
    import_labels(out, str(tmp_path / "labels.csv"))
    counts = count_causes(RealSet(tmp_path), out)
    assert (counts["home"], counts["home_place"], counts["home_look_alike"]) == (12, 12, 0)
    assert (counts["other"], counts["other_place"], counts["others"]) == (1, 0, 0)
    assert counts["slices"] == counts["slices_place"] > 0 == counts["slices_look_alike"]
