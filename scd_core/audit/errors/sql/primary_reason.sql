-- primary_reason: the first reason for which triage flagged a prediction; `unflagged` where there is none, controls included.
-- Tables of other programs may lack the list of reasons; there a row that was certain to be selected had one.
CREATE OR REPLACE MACRO primary_reason(flag_reasons, inclusion_probability) AS CASE
    WHEN flag_reasons IS NULL THEN CASE WHEN inclusion_probability >= 1 THEN 'flagged' ELSE 'unflagged' END
    WHEN len(flag_reasons) = 0 THEN 'unflagged' -- of most rows, and the list is dear to look through
    ELSE coalesce(list_filter(flag_reasons, lambda reason: reason NOT IN ('control', 'cut_by_budget'))[1], 'unflagged')
END
