"""The counts of causes on real animals: by hand, on stations of which all is known."""

from __future__ import annotations

from benchmarks.audit.look_alikes import count_look_alikes
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


def test_look_alikes_are_counted_apart_from_places(tmp_path):
    """A and B are mistaken for each other at three cameras; at C01 four others are called H."""
    visits = [
        (camera, true, called) for camera in ("C02", "C03", "C04") for true, called in ("AB", "BA") for _ in range(3)
    ]
    visits += [("C01", one, "H") for one in "CDEF" for _ in range(3)]
    visits += [("C05", one, one) for one in "ABCDEF" for _ in range(8)]
    builder = AuditBuilder(tmp_path / "out", individuals=list("ABCDEFH"))
    labels = ["file,individual_id"]
    for place, (camera, true, called) in enumerate(visits):
        builder.predict(f"v{place}.jpg", called, 0.7, camera=camera, at=minutes(90 * place))
        labels.append(f"v{place}.jpg,{true}")
    (tmp_path / "labels.csv").write_text("\n".join(labels) + "\n")
    out = builder.write()
    import_labels(out, str(tmp_path / "labels.csv"))
    counts = count_look_alikes(out)
    assert (counts["labelled"], counts["wrong"], counts["look_alike"], counts["place"]) == (78, 30, 18, 12)
    assert counts["slices_look_alike"] > 0 < counts["slices_place"]
    assert counts["slices"] >= counts["slices_look_alike"] + counts["slices_place"]
