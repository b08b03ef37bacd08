"""The table ``errors``: what people say against what the model said, raw and final, and doubts where nobody said."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from scd_core.audit.errors.causes import cause_sql, evidence_sql
from scd_core.audit.errors.suspicion import create_suspected
from scd_core.audit.labels.truth import create_truth
from scd_core.audit.query.connection import open_tables
from scd_core.config import AuditConfig
from scd_core.tables.schema import TABLES, empty_table, table_schema

__all__ = ["assumed_right", "derive_errors"]


def derive_errors(
    out: str | duckdb.DuckDBPyConnection, config: AuditConfig | None = None, report_id: str = ""
) -> pa.Table:
    """Derive the rows of ``errors``: every labelled prediction, and every unlabelled one that is in doubt.

    The newest label of a target is its truth. The raw name (``predicted_id``) is scored, never the corrected one: the
    final name (``final_id``, the ``fused`` re-classification where there is one) decides only ``is_recovered`` and
    ``is_broken``. An individual that the model does not know counts as right when it is called unknown.

    - ``exclusion``: the usable image yielded no name.
    - ``split``: a known individual called unknown.
    - ``combination``: an unknown individual called a known one.
    - ``shift``: a known individual called another known one.
    - ``correct``: the name is the truth.

    ``event_weight`` is what a row counts in rates: ``1 / (m * pi)`` with m the predictions of its event and pi
    (``label_probability``) the probability that it came to be labelled. Where all labels of a batch lie on rows that
    triage selected, pi is ``inclusion_probability``. Where labels reach beyond the selection (a batch labelled whole,
    say), pi is the labelled share of the row's stratum (selected for a reason, or not) over the larger of the batch's two
    shares. A row without a name has no inclusion probability; its pi is 1.

    Where nothing but flagged rows was labelled, rates over these rows are shares of what was flagged, and no weight can mend
    that; :func:`assumed_right` gives what :func:`scd_core.audit.slices.derive.find_slices` needs beside them.

    Args:
        out: OUT, or a database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        config: thresholds of the causes and suspicions (section ``slices``), speed limit (section ``triage``).
        report_id: report that the rows are for.

    Returns:
        Rows of the table ``errors``, in the order of batch and target.

    Raises:
        InputError: OUT holds no audit.
    """
    if isinstance(out, str):
        with open_tables(out) as connection:
            return derive_errors(connection, config, report_id)
    config = config or AuditConfig()
    create_truth(out)
    create_suspected(out, config)
    for sql in (_LABELLED, _CHOSEN, _WEIGHTS, _ORDINARY, _QUALITY, _EVIDENCE):
        out.execute(sql, _named(sql, config))
    out.execute(_SCORED)
    out.execute(_REPEATED)
    out.execute(_WEAK_FLANKS)
    out.execute(_ONE_LABELLERS_PAIRS)
    columns = ", ".join(_COLUMNS.get(name, name) for name in TABLES["errors"])
    return (
        out.sql(
            f"""
            WITH explained AS (
                SELECT scored.* EXCLUDE (quality), coalesce(quality, 'good') AS quality,
                    coalesce(repeated_pairs.is_recurrent, false) AS is_recurrent_pair,
                    repeated_pairs.true_id IS NOT NULL AS is_repeated_pair,
                    weak_flanks.flank IS NOT NULL AS is_weak_flank,
                    one_labellers_pairs.labelled_by IS NOT NULL AS is_one_labellers_pair
                FROM scored
                LEFT JOIN repeated_pairs USING (true_id, predicted_id)
                LEFT JOIN weak_flanks USING (true_id, flank)
                LEFT JOIN one_labellers_pairs USING (true_id, predicted_id, labelled_by)
            )
            SELECT {columns.format(cause=cause_sql(config.slices), evidence=evidence_sql(config.slices))}
            FROM explained ORDER BY batch_key, target_id
            """,
            params={"report_id": report_id},
        )
        .to_arrow_table()
        .cast(table_schema("errors"))
    )


def assumed_right(
    connection: duckdb.DuckDBPyConnection, errors: pa.Table, config: AuditConfig | None = None, most: int = 200_000
) -> pa.Table:
    """What nobody flagged in the batches where nothing but flagged rows is labelled, as rows of ``errors`` that are right.

    Which right names are flagged differs from camera to camera and from individual to individual, so shares of what was
    flagged differ where nothing is wrong. Errors per event do not: with these rows beside the labelled ones a rate is that of
    the errors that triage flagged, the least that the true rate can be. A row is one that nothing flagged and nobody
    labelled; where others of its event are labelled, only a row that agrees with them. Rows are for computing slices
    only, and never written.

    Args:
        connection: the database that `errors` was derived from, by :func:`derive_errors`.
        errors: rows of ``errors``.
        config: threshold of poor quality.
        most: most events; of more, a sample is drawn by their ids, and ``label_probability`` says which share.

    Returns:
        Rows in the schema of ``errors``; none where controls are labelled too.
    """
    config = config or AuditConfig()
    connection.register("derived_errors", errors)
    try:
        connection.execute(_FLAGGED_BATCHES)
        ((n,),) = connection.execute("SELECT count(*) FROM flagged_batches").fetchall()
        if not n:
            return empty_table("errors")
        connection.execute(_ASSUMED_ROWS)
        ((n,),) = connection.execute("SELECT approx_count_distinct(event) FROM assumed_rows").fetchall()
        every = max(1, -(-n // most))
        parameters = {"every": every, "low_quality_ratio": config.slices.low_quality_ratio}
        found = connection.sql(_ASSUMED, params=parameters).to_arrow_table()
    finally:
        connection.unregister("derived_errors")
    schema = table_schema("errors")
    columns = [
        found[f.name].cast(f.type) if f.name in found.column_names else pa.nulls(len(found), f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _named(sql: str, config: AuditConfig) -> dict[str, float]:
    """The settings that a statement names."""
    values = {
        "low_quality_ratio": config.slices.low_quality_ratio,
    }
    return {name: value for name, value in values.items() if f"${name}" in sql}


_COLUMNS = {
    "report_id": "$report_id AS report_id",
    "is_labelled": "true_id IS NOT NULL AS is_labelled",
    "is_suspected": "true_id IS NULL AS is_suspected",
    "suspicion_reasons": "CASE WHEN true_id IS NULL THEN suspicion_reasons ELSE [] END AS suspicion_reasons",
    "cause": "CASE WHEN is_wrong THEN {cause} WHEN list_contains(suspicion_reasons, 'label_conflict') THEN 'label_suspect' END"
    " AS cause",
    "cause_evidence": "CASE WHEN is_wrong THEN {evidence} WHEN list_contains(suspicion_reasons, 'label_conflict') "
    "THEN 'labels of one moment name different individuals' END AS cause_evidence",
}

# A label of the whole frame belongs to the frame's one target; labels of boxes belong to a whole-frame prediction where
# they all name one individual. A frame of several boxes with one label for all of them is no truth for any of them.
_LABELLED = """
    CREATE OR REPLACE TEMP TABLE labelled AS
    WITH candidates AS (
        SELECT batch_key, target_id, media_id, detection_id,
            count(*) OVER (PARTITION BY batch_key, media_id) AS n_targets
        FROM predictions WHERE media_id IN (SELECT media_id FROM truth)
    ),
    whole AS (
        SELECT media_id, any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
            CASE WHEN count(DISTINCT true_id) = 1 AND count(true_id) = count(*) THEN any_value(true_id) END AS true_id
        FROM truth GROUP BY media_id
    )
    SELECT batch_key, target_id, media_id, truth.true_id, truth.flank, truth.labelled_by
    FROM candidates JOIN truth USING (media_id)
    WHERE candidates.detection_id IS NOT DISTINCT FROM truth.detection_id
        OR (truth.detection_id IS NULL AND n_targets = 1)
    UNION
    SELECT batch_key, target_id, media_id, whole.true_id, whole.flank, whole.labelled_by
    FROM candidates JOIN whole USING (media_id)
    WHERE candidates.detection_id IS NULL
        AND NOT EXISTS (FROM truth WHERE truth.media_id = candidates.media_id AND truth.detection_id IS NULL)
"""

_CHOSEN = """
    CREATE OR REPLACE TEMP TABLE chosen AS
    WITH both_kinds AS (
        SELECT batch_key, target_id, media_id, true_id, flank, labelled_by,
            CASE WHEN true_id IS NULL THEN ['label_conflict'] ELSE [] END AS reasons FROM labelled
        UNION ALL
        SELECT batch_key, target_id, media_id, NULL, NULL, NULL, reasons FROM suspected
    ),
    targets AS (
        SELECT batch_key, target_id, any_value(media_id) AS media_id, any_value(true_id) AS true_id,
            any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
            list_sort(list_distinct(flatten(list(reasons)))) AS suspicion_reasons
        FROM both_kinds GROUP BY batch_key, target_id
    ),
    newest AS (
        SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key
        FROM (SELECT DISTINCT batch_key, media_id FROM predictions WHERE media_id IN (SELECT media_id FROM targets))
        JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
        GROUP BY media_id
    )
    SELECT targets.*, newest.batch_key IS NOT DISTINCT FROM targets.batch_key AS is_current
    FROM targets LEFT JOIN newest USING (media_id)
"""

_WEIGHTS = """
    CREATE OR REPLACE TEMP TABLE label_shares AS
    WITH strata AS (
        SELECT batch_key, inclusion_probability >= 1 AS has_reason, count(*) AS n,
            count(chosen.true_id) AS n_labelled, count(chosen.true_id) FILTER (NOT is_selected) AS n_unselected
        FROM predictions LEFT JOIN chosen USING (batch_key, target_id)
        WHERE prediction_status = 'ok' AND batch_key IN (SELECT batch_key FROM labelled)
        GROUP BY ALL
    )
    SELECT batch_key, has_reason, n_labelled / n / nullif(max(n_labelled / n) OVER batch, 0) AS share
    FROM strata WINDOW batch AS (PARTITION BY batch_key) QUALIFY sum(n_unselected) OVER batch > 0;

    CREATE OR REPLACE TEMP TABLE control_shares AS
    SELECT batch_key, CASE WHEN count(*) FILTER (inclusion_probability < 1) > 0 THEN
        coalesce(min(inclusion_probability) FILTER (inclusion_probability > 0 AND inclusion_probability < 1), 0.05)
        END AS control_probability
    FROM predictions WHERE prediction_status = 'ok' AND batch_key IN (SELECT batch_key FROM labelled)
    GROUP BY batch_key;

    CREATE OR REPLACE TEMP TABLE event_sizes AS
    SELECT batch_key, event_id, count(*) AS n_frames FROM predictions
    WHERE prediction_status = 'ok' AND event_id IN (
        SELECT event_id FROM predictions SEMI JOIN labelled USING (batch_key, target_id)
    )
    GROUP BY batch_key, event_id
"""

_ORDINARY = """
    CREATE OR REPLACE TEMP TABLE ordinary AS
    SELECT camera_id, is_infrared, approx_quantile(sharpness, 0.5) AS sharpness,
        approx_quantile(brightness, 0.5) AS brightness
    FROM media WHERE status = 'ok' GROUP BY camera_id, is_infrared
"""

_QUALITY_OF_MEDIA = """CASE WHEN media.sharpness < $low_quality_ratio * ordinary.sharpness THEN 'blurred'
            WHEN media.brightness < $low_quality_ratio * ordinary.brightness THEN 'dark' ELSE 'good' END AS quality"""

_WITH_ORDINARY = """LEFT JOIN ordinary ON media.camera_id IS NOT DISTINCT FROM ordinary.camera_id
        AND media.is_infrared IS NOT DISTINCT FROM ordinary.is_infrared"""

_QUALITY = f"""
    CREATE OR REPLACE TEMP TABLE chosen_media AS
    SELECT media.batch_key, media_id, media.camera_id, deployment_id, captured_at, media.is_infrared,
        {_QUALITY_OF_MEDIA}
    FROM media SEMI JOIN chosen USING (batch_key, media_id)
    {_WITH_ORDINARY}
"""

_EVIDENCE = """
    CREATE OR REPLACE TEMP TABLE evidence AS
    WITH masked AS (
        SELECT batch_key, target_id, background_reliance, background_log_odds_drop, overlay_reliance, overlay_log_odds_drop
        FROM masks SEMI JOIN chosen USING (batch_key, target_id)
        WHERE mask_status = 'ok' AND contrast_id IS NULL
        QUALIFY row_number() OVER (PARTITION BY batch_key, target_id ORDER BY method) = 1
    ),
    again AS (
        SELECT batch_key, target_id, any_value(predicted_id) FILTER (strategy = 'fused') AS fused_id,
            any_value(probability) FILTER (strategy = 'fused') AS fused_probability,
            coalesce(bool_or(is_flip) FILTER (strategy = 'box_crop'), false) AS is_box_flip,
            coalesce(bool_or(is_flip) FILTER (strategy = 'early_inside'), false) AS is_inside_flip
        FROM reclassifications SEMI JOIN chosen USING (batch_key, target_id)
        WHERE strategy_status = 'ok' GROUP BY batch_key, target_id
    )
    SELECT * FROM masked FULL JOIN again USING (batch_key, target_id)
"""

_SCORED = """
    CREATE OR REPLACE TEMP TABLE scored AS
    WITH joined AS (
        SELECT predictions.batch_key, model_digest, predictions.target_id, predictions.media_id, detection_id,
            predictions.event_id, event_predicted_id, inclusion_probability,
            CASE WHEN prediction_status = 'ok' THEN predicted_id END AS predicted_id,
            CASE WHEN prediction_status = 'ok' THEN probability END AS probability,
            topk, prediction_status, chosen.* EXCLUDE (batch_key, target_id, media_id)
        FROM predictions JOIN chosen USING (batch_key, target_id)
    ),
    known AS (
        SELECT model_digest, unnest(individuals) AS individual_id FROM runs
        UNION SELECT model_digest, predicted_id FROM predictions WHERE predicted_id IS NOT NULL GROUP BY ALL
        UNION SELECT model_digest, unnest(topk).individual_id FROM joined
    ),
    named AS (
        SELECT joined.*, camera_id, deployment_id, captured_at, is_infrared,
            quality, background_reliance, background_log_odds_drop, overlay_reliance, overlay_log_odds_drop,
            coalesce(is_box_flip, false) AS is_box_flip, coalesce(is_inside_flip, false) AS is_inside_flip,
            evidence.target_id IS NOT NULL AS is_masked,
            coalesce(fused_id, joined.predicted_id) AS final_id,
            coalesce(fused_probability, joined.probability) AS final_probability,
            -- what a model of known individuals should say
            CASE WHEN joined.true_id IS NULL THEN NULL WHEN known.individual_id IS NULL THEN 'unknown'
                ELSE joined.true_id END AS right_id,
            coalesce(
                list_filter(topk, lambda candidate: candidate.individual_id = joined.true_id)[1].probability, 0
            ) AS true_probability,
            CASE WHEN prediction_status <> 'ok' THEN 1
                ELSE coalesce(nullif(share, 0), nullif(inclusion_probability, 0), 1) END AS label_probability,
            CASE WHEN share IS NULL THEN control_shares.control_probability END AS control_probability,
            1 / (coalesce(n_frames, 1) * label_probability) AS event_weight
        FROM joined
        LEFT JOIN evidence USING (batch_key, target_id)
        LEFT JOIN chosen_media USING (batch_key, media_id)
        LEFT JOIN known ON joined.model_digest = known.model_digest AND joined.true_id = known.individual_id
        LEFT JOIN event_sizes USING (batch_key, event_id)
        LEFT JOIN control_shares ON joined.batch_key = control_shares.batch_key
        LEFT JOIN label_shares ON joined.batch_key = label_shares.batch_key
            AND (inclusion_probability >= 1) = label_shares.has_reason
    )
    SELECT *, right_id IS NOT NULL AND predicted_id IS DISTINCT FROM right_id AS is_wrong,
        CASE WHEN right_id IS NULL THEN NULL
            WHEN predicted_id IS NULL THEN 'exclusion'
            WHEN predicted_id = right_id THEN 'correct'
            WHEN predicted_id = 'unknown' THEN 'split'
            WHEN right_id = 'unknown' THEN 'combination'
            ELSE 'shift' END AS error_type,
        right_id IS NOT NULL AND predicted_id IS DISTINCT FROM right_id AND final_id IS NOT DISTINCT FROM right_id
            AS is_recovered,
        coalesce(predicted_id = right_id AND final_id IS DISTINCT FROM right_id, false) AS is_broken
    FROM named
"""

_REPEATED = """
    CREATE OR REPLACE TEMP TABLE repeated_pairs AS
    WITH pairs AS (
        SELECT true_id, predicted_id, is_wrong, count(DISTINCT coalesce(event_id, target_id)) AS n,
            sum(event_weight) AS weight
        FROM scored WHERE right_id IS NOT NULL AND is_current GROUP BY ALL
    )
    SELECT true_id, predicted_id, weight >= 0.2 * sum(weight) OVER (PARTITION BY true_id) AS is_recurrent FROM pairs
    QUALIFY is_wrong AND n >= 3
"""

_WEAK_FLANKS = """
    CREATE OR REPLACE TEMP TABLE weak_flanks AS
    WITH told AS (
        SELECT *, coalesce(event_id, target_id) AS event FROM scored
        WHERE right_id IS NOT NULL AND is_current AND flank IS NOT NULL
    ),
    flanks AS (
        SELECT true_id, flank, count(DISTINCT event) AS n, sum(is_wrong::INT * event_weight) / sum(event_weight) AS rate
        FROM told GROUP BY true_id, flank
    ),
    both_flanks AS (
        SELECT weak.true_id, weak.flank, weak.n, weak.rate, strong.flank AS other, strong.n AS other_n,
            strong.rate AS other_rate
        FROM flanks weak JOIN flanks strong ON weak.true_id = strong.true_id AND weak.flank <> strong.flank
    ),
    confusions AS (
        SELECT true_id, predicted_id, flank, count(DISTINCT event) AS n FROM told WHERE is_wrong GROUP BY ALL
    )
    SELECT true_id, flank FROM both_flanks
    WHERE n >= 3 AND other_n >= 3 AND rate >= 0.4 AND other_rate <= 0.4 * rate
    UNION
    SELECT both_flanks.true_id, both_flanks.flank FROM both_flanks
    JOIN confusions one ON one.true_id = both_flanks.true_id AND one.flank = both_flanks.flank
    LEFT JOIN confusions two
        ON two.true_id = one.true_id AND two.predicted_id = one.predicted_id AND two.flank = both_flanks.other
    WHERE one.n >= 8 AND other_n >= 3 AND coalesce(two.n, 0) <= 0.1 * one.n
"""

_ONE_LABELLERS_PAIRS = """
    CREATE OR REPLACE TEMP TABLE one_labellers_pairs AS
    WITH pairs AS (
        SELECT true_id, labelled_by, predicted_id, is_wrong, count(DISTINCT coalesce(event_id, target_id)) AS n,
            sum(event_weight) AS weight
        FROM scored WHERE right_id IS NOT NULL AND is_current AND labelled_by IS NOT NULL GROUP BY ALL
    ),
    labellers AS (
        SELECT true_id, labelled_by, sum(n) AS n, sum(weight) AS weight FROM pairs GROUP BY ALL
    ),
    people AS (SELECT true_id, sum(n) AS n, sum(weight) AS weight FROM labellers GROUP BY ALL),
    confusions AS (SELECT true_id, predicted_id, sum(weight) AS weight FROM pairs WHERE is_wrong GROUP BY ALL)
    SELECT pairs.true_id, pairs.predicted_id, pairs.labelled_by FROM pairs
    JOIN labellers USING (true_id, labelled_by) JOIN people USING (true_id) JOIN confusions USING (true_id, predicted_id)
    WHERE is_wrong AND pairs.n >= 3 AND pairs.weight >= 0.2 * labellers.weight AND people.n - labellers.n >= 3
        AND pow(labellers.n / people.n, pairs.n) <= 0.01
        AND (confusions.weight - pairs.weight) / (people.weight - labellers.weight)
            <= 0.25 * pairs.weight / labellers.weight
"""

_FLAGGED_BATCHES = """
    CREATE OR REPLACE TEMP TABLE flagged_batches AS
    SELECT batch_key FROM derived_errors WHERE is_labelled AND is_current GROUP BY batch_key
    HAVING min(label_probability) >= 1 AND max(control_probability) IS NOT NULL
"""

_ASSUMED_ROWS = """
    CREATE OR REPLACE TEMP TABLE assumed_rows AS
    WITH told AS (
        SELECT coalesce(event_id, target_id) AS event,
            list_concat(
                list(DISTINCT true_id), coalesce(list(DISTINCT predicted_id) FILTER (error_type = 'correct'), [])
            ) AS names
        FROM derived_errors WHERE is_labelled AND is_current GROUP BY ALL
    ),
    newest AS (
        SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key
        FROM (SELECT DISTINCT batch_key, media_id FROM predictions)
        JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
        GROUP BY media_id
    ),
    rows AS (
        SELECT batch_key, target_id, coalesce(event_id, target_id) AS event, predicted_id, inclusion_probability,
            count(*) OVER (PARTITION BY batch_key, coalesce(event_id, target_id)) AS n_frames
        FROM predictions SEMI JOIN flagged_batches USING (batch_key) SEMI JOIN newest USING (batch_key, media_id)
        WHERE prediction_status = 'ok'
    )
    SELECT batch_key, target_id, event, n_frames
    FROM rows ANTI JOIN (SELECT batch_key, target_id FROM derived_errors WHERE is_labelled) USING (batch_key, target_id)
    LEFT JOIN told USING (event)
    WHERE inclusion_probability < 1 AND (names IS NULL OR list_contains(names, predicted_id))
"""

_ASSUMED = f"""
    WITH chosen AS (SELECT batch_key, target_id, n_frames FROM assumed_rows WHERE hash(event) % $every = 0)
    SELECT predictions.batch_key, predictions.model_digest, target_id, media_id, detection_id, predictions.event_id,
        predicted_id, predicted_id AS final_id, predicted_id AS true_id, probability, 'correct' AS error_type,
        true AS is_labelled, false AS is_suspected, true AS is_current, false AS is_masked, false AS is_recovered,
        false AS is_broken, media.camera_id, deployment_id, captured_at, media.is_infrared,
        1 / $every AS label_probability, $every / n_frames AS event_weight,
        {_QUALITY_OF_MEDIA}
    FROM predictions JOIN chosen USING (batch_key, target_id) JOIN media USING (batch_key, media_id)
    {_WITH_ORDINARY}
    ORDER BY predictions.batch_key, target_id
"""
