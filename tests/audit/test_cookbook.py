"""The pages that show queries and tables are true: every query runs, every view is listed, the tables page is up to date."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scd_core.audit import connect
from scd_core.audit.improvements import ImprovementRecord, write_improvements
from scd_core.audit.query.views import READY_VIEWS
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.tables_page import tables_markdown
from tests.audit.audit_builder import AuditBuilder, label, minutes

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", (DOCS / "queries.md").read_text(), re.DOTALL)
QUERIES = [text for kind, text in BLOCKS if kind == "sql"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Two models over one card, labels, two reports; at C03 everyone but Nyx is called Nyx."""
    folder = tmp_path_factory.mktemp("cookbook")
    truth = {}
    for model in ("m1", "m2"):
        finished = datetime(2026, 3, 2 + (model == "m2"), tzinfo=UTC)
        builder = AuditBuilder(
            folder / "out", f"b-{model}", model, finished=finished, individuals=["Luna", "Nyx", "Tom"]
        )
        for n in range(120):
            camera, true = f"C{n % 4:02d}", ("Luna", "Nyx", "Tom")[n // 4 % 3]
            name = "Nyx" if camera == "C03" and (model == "m1" or n % 5) else true
            file = f"{camera}/{n:03d}.jpg"
            truth[file] = true
            if n == 0:
                builder.predict("C00/new.jpg", "unknown", 0.2, camera=camera, at=minutes(5), candidate_id="candidate-a")
            target = builder.predict(file, name, 0.8, camera=camera, at=minutes(90 * n))
            if camera == "C03":
                builder.mask(
                    target,
                    true,
                    background_reliance=0.8,
                    background_log_odds_drop=2.0,
                    mask_png=b"png",
                    overlay_reliance=0.0,
                )
        builder.media("broken.jpg", status="corrupt", failure_stage="decode", failure_reason="truncated")
        builder.write()
    labelled = dict(list(truth.items())[:100])
    label(builder.out, folder, labelled, labelled_by="ana")
    refresh_report_tables(builder.out, now=datetime(2026, 3, 4, tzinfo=UTC))
    label(builder.out, folder, {"C00/000.jpg": "Tom", "never-seen.jpg": "Luna"}, labelled_by="ben", name="more.csv")
    refresh_report_tables(builder.out, now=datetime(2026, 3, 5, tzinfo=UTC))
    figures = (24, 0.3, 0.88, 0.79, 0.94, 0.58, 0.3, 0.8)
    expected = ImprovementRecord("i1", finished, "m2", None, "logistic:box_crop", "C03", *figures)
    write_improvements(builder.out, [expected])
    return builder.out


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_every_query_of_the_cookbook_runs(out, query):
    with connect(out) as audit:
        assert audit.execute(query).fetchall() is not None


def test_the_python_of_the_cookbook_runs(out):
    blocks = [text for kind, text in BLOCKS if kind == "python"]
    assert len(blocks) == 2
    for text in blocks:
        exec(text, {"OUT": out})


def test_every_view_is_listed_and_answers(out):
    page = (DOCS / "queries.md").read_text()
    with connect(out) as audit:
        for name in READY_VIEWS:
            assert f"| `{name}` |" in page
            rows = audit.execute(f"SELECT * FROM {name}").fetchall()
            assert rows, f"{name} has no rows, so it is not tested"


def test_views_say_what_is_true(out):
    with connect(out) as audit:
        assert audit.execute("SELECT camera_id FROM worst_cameras LIMIT 1").fetchone() == ("C03",)
        pairs = audit.execute("SELECT true_id, predicted_id FROM confused_pairs").fetchall()
        assert ("Luna", "Nyx") in pairs and ("Tom", "Nyx") in pairs
        changes = audit.execute(
            "SELECT old_model, new_model, sum(n_mended), sum(n_spoilt) FROM model_changes GROUP BY ALL"
        )
        (old, new, mended, spoilt) = changes.fetchone()
        assert (old, new, spoilt) == ("m1", "m2", 0) and mended > 0
        assert audit.execute("SELECT status, n_media FROM quarantine").fetchall() == [("corrupt", 1)]
        assert audit.execute("SELECT count(*) FROM systematic_errors WHERE slice['camera_id'] = 'C03'").fetchone() == (
            1,
        )


def test_the_recomputed_numbers_are_the_reports(out):
    wilson = next(query for query in QUERIES if "wilson_low" in query)
    hochberg = next(query for query in QUERIES if "recomputed" in query)
    with connect(out) as audit:
        for _, rate, low, _, recomputed in audit.execute(wilson).fetchall():
            if 0 < rate < 1:
                assert recomputed == pytest.approx(low, abs=1e-3)
        rows = audit.execute(hochberg).fetchall()
        assert rows
        # the page's query takes the running minimum from the largest p-value on, as the report does
        for _, _, q, recomputed in rows:
            assert recomputed == pytest.approx(q, rel=1e-6)


def test_the_tables_page_is_up_to_date():
    assert (DOCS / "tables.md").read_text() == tables_markdown(), (
        "run python -m scd_core.audit.tables_page > docs/tables.md"
    )
