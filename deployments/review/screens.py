"""What a screen of the review shows, as JSON for the page: an event with its evidence, a group of unknowns, or a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow as pa

from deployments.review.drawing import Size
from scd_core.audit import wording
from scd_core.audit.report.examples import chosen_view
from scd_core.audit.review.frames import Row
from scd_core.audit.review.kept import Waiting
from scd_core.audit.review.queues import SLICE
from scd_core.audit.review.session import ReviewSession
from scd_core.audit.slices.data import PAIR, slice_keys
from scd_core.boxes import box_from_row
from scd_core.config import SliceConfig
from scd_core.label_names import ReviewQueue
from scd_core.names import Stratum
from scd_core.tables.schema import table_schema

__all__ = ["Json", "one_picture", "picture_address", "queues", "references", "rows_of_event", "screen"]

_CANDIDATES = 5
_REFERENCES = 3
_OTHERS = 8
_OUTSIDE = SliceConfig().min_background_reliance
"""Share of the evidence outside the animal from which on it is a reason to look."""
_KNOWN_LATER = {"true_id", "pair", "flank", "quality", "labelled_by"}
"""Keys of slices that only a label, or the audit of a whole camera, makes known."""
_KEY_SCHEMA = pa.schema(
    table_schema("errors").field(name)
    for name in ("camera_id", "deployment_id", "true_id", "predicted_id", "model_digest", "captured_at", "is_infrared")
)

_QUEUE_WORDS = {
    ReviewQueue.NEXT: "Drawn at random within each reason, so that the answers give honest rates.",
    ReviewQueue.SUSPECTED: "A person gave the name, and something contradicts it.",
    ReviewQueue.CANDIDATES: "Unknowns that look like one new individual, a group on each screen.",
    ReviewQueue.DISAGREEMENTS: "Two people gave different names; a third look decides.",
    ReviewQueue.PAIRS: "A doubtful name beside a labelled picture of that individual.",
    ReviewQueue.SECOND: "Pictures that somebody else has answered; the answers are not shown.",
}

Json = dict[str, Any]
"""An object of a JSON answer."""


def queues(session: ReviewSession, who: str) -> list[Json]:
    """The queues with something in them, as :meth:`ReviewSession.queues` gives them, with a short title and words.

    Args:
        session: the review.
        who: the person.
    """
    slices = {f"{SLICE}{row['slice_id']}": row for row in session.frames.slices()}
    found = []
    for queue in session.queues(who):
        row = slices.get(queue["queue"])
        if row is None:
            found.append({**queue, "words": _QUEUE_WORDS.get(queue["queue"], "")})
        else:
            words = f"{_slice(row)['words']}{'; ' + _settle(row) if row['labels_needed'] else ''}"
            found.append({**queue, "title": wording.slice_title(dict(row["slice"])), "words": words})
    return found


def screen(session: ReviewSession, target_id: str, queue: str | None, who: str) -> Json | None:
    """Everything that the page shows for a target in a queue; None where OUT has no such target.

    Args:
        session: the review.
        target_id: the target.
        queue: the queue in which it waits; None where it was opened by itself.
        who: the person; the second reader is not shown what others answered.
    """
    place, rows = session.place_of(target_id), rows_of_event(session, target_id)
    chosen = next((row for row in rows if row["target_id"] == target_id), None)
    if place is None or chosen is None:
        return None
    if queue == ReviewQueue.PAIRS and (shown := _pair(session, place, chosen)) is not None:
        return shown
    if queue == ReviewQueue.CANDIDATES and chosen["candidate_id"] is not None:
        return _group(session, chosen, who)
    is_blind = queue == ReviewQueue.SECOND
    slices = _slices(session, chosen)
    return {
        "kind": "event",
        "target_id": target_id,
        "where": _where(chosen),
        "predicted_id": chosen["predicted_id"],
        "probability": chosen["probability"],
        "candidates": _candidates(chosen),
        "frames": [_frame(session, list(of_one)) for _, of_one in groupby(rows, lambda row: row["media_id"])],
        "reasons": _reasons(place, chosen, rows, queue),
        "said": [] if is_blind else _said(session, place, chosen, who),
        "references": references(session, chosen, None, {row["media_id"] for row in rows}),
        "slices": [_slice(row) for row in slices],
        "settle": next((_slice(row) | {"words": _settle(row)} for row in slices if row["labels_needed"]), None),
    }


def rows_of_event(session: ReviewSession, target_id: str) -> list[Row]:
    """Rows of ``sql/frames.sql`` of a target's event, in the order of time; none where OUT has no such target."""
    place = session.place_of(target_id)
    return [] if place is None else session.frames.event(place.batch_key, place.media_id)


def picture_address(row: Row, size: Size) -> str:
    """Where this server has a frame, without the token."""
    return f"/picture/{quote(row['media_id'], safe='')}?{urlencode({'size': size, 'batch': row['batch_key']})}"


def references(session: ReviewSession, row: Row, flank: str | None, without: Iterable[str] = ()) -> list[Json]:
    """Labelled pictures of the named individual and of the runner-up, those of a flank first.

    Args:
        session: the review.
        row: the target, a row of ``sql/frames.sql``.
        flank: `left` or `right`; None where it is not known.
        without: media that are not shown, those of the same event.
    """
    names = [one["individual_id"] for one in _candidates(row)][:2]
    if row["predicted_id"] and row["predicted_id"] not in names:
        names = [row["predicted_id"], *names[:1]]
    hidden, found = set(without), []
    for name in names:
        shown = session.references(name, flank, _REFERENCES + len(hidden))
        pictures = [_reference(session, one, name) for one in shown if one["media_id"] not in hidden]
        found.append({"individual_id": name, "words": "", "pictures": [one for one in pictures if one][:_REFERENCES]})
    return found


def _reference(session: ReviewSession, shown: Mapping[str, Any], name: str) -> Json | None:
    row = session.picture(shown["media_id"])
    if row is None:
        return None
    return one_picture(row, name, f"{shown['flank']} flank" if shown["flank"] else None)


def one_picture(row: Row, name: str, note: str | None = None) -> Json:
    """A picture of somebody that is shown beside another one: its addresses by size, ``alt`` and ``note``."""
    return {**_pictures(row), "alt": f"{name}, {_where(row)}" + (f", {note}" if note else ""), "note": note}


def _pictures(row: Row) -> Json:
    return {str(size): picture_address(row, size) for size in Size}


def _frame(session: ReviewSession, rows: Sequence[Row]) -> Json:
    """A frame with its targets, one for each box that was named; a picture without any has none."""
    row = rows[0]
    where = _where(row)
    return {
        "media_id": row["media_id"],
        "width": row["width"] or 3,
        "height": row["height"] or 2,
        "words": row["file"] or row["uri"],
        "alt": f"{row['file'] or row['uri']}, {where}",
        "picture": _pictures(row),
        "targets": [_target(session, one) for one in rows],
    }


def _target(session: ReviewSession, row: Row) -> Json:
    return {
        "target_id": row["target_id"],
        "box": box_from_row(row),
        "predicted_id": row["predicted_id"],
        "probability": row["probability"],
        "candidates": _candidates(row),
        "layers": _layers(session, row) if row["has_mask"] else [],
    }


def _layers(session: ReviewSession, row: Row) -> list[Json]:
    """What may be laid over the picture or stand in its place, in the order in which Space shows it."""
    base = f"/evidence/{quote(row['target_id'], safe='')}"

    def at(**values: str) -> str:
        return f"{base}?{urlencode(values)}"

    evidence = session.frames.evidence(row["batch_key"], row["target_id"])
    share = row["background_reliance"]
    words = "" if share is None else f"{wording.percent(share)} of it lies outside the animal's box"
    layers = [
        {
            "kind": "evidence",
            "title": "Evidence",
            "words": words,
            "outline": at(kind="outline"),
            "fill": at(kind="heat"),
        }
    ]
    for mask in evidence:
        if (rival := mask["contrast_id"]) is not None:
            words = f"what stands for {mask['predicted_id']} and against {rival}"
            shown = {"outline": at(kind="outline", against=rival), "fill": at(kind="heat", against=rival)}
            layers.append(
                {"kind": "contrast", "title": f"{mask['predicted_id']}, not {rival}", "words": words, **shown}
            )
    view = chosen_view(row, [one for one in evidence if one["strategy"] is not None])
    if view is not None:
        how = wording.STRATEGY_WORDS.get(view["strategy"], view["strategy"])
        words = f"{how}: called {view['predicted_id'] or 'nothing'} ({wording.percent(view['probability'])})"
        layers.append({"kind": "seen", "title": "Seen again", "words": words, "picture": at(kind="seen")})
    return layers


def _candidates(row: Row) -> list[Json]:
    return [dict(one) for one in (row["topk"] or [])[:_CANDIDATES]]


def _where(row: Row) -> str:
    where = wording.where_taken(row)
    return where[0].upper() + where[1:] + (", infrared" if row["is_infrared"] else "")


def _reasons(place: Waiting, row: Row, rows: Sequence[Row], queue: str | None) -> list[str]:
    """Why a picture is shown: its queue's reason, what triage saw, what the event and the evidence say."""
    reasons = []
    if place.queue_probability is not None and queue in (ReviewQueue.NEXT, None):
        reasons.append(
            "drawn at random: nothing flagged it"
            if place.reason == Stratum.UNFLAGGED
            else f"drawn at random among pictures with this flag: {wording.reason(place.reason)}"
        )
    elif place.reason and place.queue == queue:
        reasons.append(place.reason)
    flags = [reason for reason in row["flag_reasons"] or () if reason != place.reason]
    reasons += [wording.reason(reason) for reason in flags]
    named = Counter(one["predicted_id"] for one in rows if one["media_id"] != row["media_id"] and one["predicted_id"])
    n_others = sum(n for name, n in named.items() if name != row["predicted_id"])
    if n_others:
        names = ", ".join(name for name, _ in named.most_common(3) if name != row["predicted_id"])
        reasons.append(f"{n_others} of {named.total()} other names in this event differ: {names}")
    if row["background_reliance"] is not None and row["background_reliance"] >= _OUTSIDE:
        reasons.append(f"{wording.percent(row['background_reliance'])} of the evidence lies outside the animal")
    if row["suggested_id"] is not None:
        reasons.append(f"seen again with the evidence, it is called {row['suggested_id']}")
    return reasons


def _said(session: ReviewSession, place: Waiting, row: Row, who: str) -> list[str]:
    said = [f"{one.who or 'somebody'}: {one.name}" for one in session.answers_of(row)]
    return [*place.said, *(words for words in said if words not in place.said)]


def _slices(session: ReviewSession, row: Row) -> list[Row]:
    """Slices that the target counts for, or may once it is labelled: all keys that are known agree, and one at least is known."""
    run = session.frames.run(row["batch_key"])
    values = {**row, "true_id": None, "model_digest": run.get("model_digest")}
    known = slice_keys(pa.Table.from_pylist([{name: values.get(name) for name in _KEY_SCHEMA.names}], _KEY_SCHEMA))[0]
    found = []
    for one in session.frames.slices():
        keys = dict(one["slice"])
        if (
            not one["is_systematic"]
            or one["folded_into"] is not None
            or not all(_fits(*key, known) for key in keys.items())
        ):
            continue
        if keys.keys() & known.keys() or "pair" in keys:
            found.append(one)
    return found[:3]


def _fits(key: str, value: str, known: Mapping[str, str]) -> bool:
    if key == "pair":
        return value.endswith(f"{PAIR}{known.get('predicted_id')}")
    return key in _KNOWN_LATER or known.get(key) == value


def _slice(row: Row) -> Json:
    words = f"{row['n_errors']} of {row['n_events']} visits wrong"
    return {"queue": f"{SLICE}{row['slice_id']}", "title": wording.slice_title(dict(row["slice"])), "words": words}


def _settle(row: Row) -> str:
    n = row["labels_needed"]
    return f"about {wording.about(n)} more labelled {wording.plural(n, 'visit settles', 'visits settle')} it"


def _group(session: ReviewSession, row: Row, who: str) -> Json:
    """All open members of a candidate, and other candidates that may be the same individual."""
    groups = session.groups(who)
    own = next(
        (name for name, waiting in groups.items() if row["target_id"] in {one.target_id for one in waiting}), None
    )
    members = groups.pop(own, []) if own is not None else []
    others = [of_one[0] for of_one in list(groups.values())[:_OTHERS]]
    shown = [(one, target) for one in members if (target := session.target(one.target_id, one)) is not None]
    return {
        "kind": "group",
        "target_id": row["target_id"],
        "where": _where(row),
        "words": f"{len(shown)} {wording.plural(len(shown), 'picture looks', 'pictures look')} like one new individual.",
        "members": [_member(target) for _, target in shown],
        "others": [
            {**_member(target), "words": one.reason}
            for one in others
            if (target := session.target(one.target_id, one)) is not None
        ],
    }


def _member(row: Row) -> Json:
    where = _where(row)
    return {
        "target_id": row["target_id"],
        "words": where,
        "picture": {**_pictures(row), "alt": f"{row['file'] or row['uri']}, {where}"},
    }


def _pair(session: ReviewSession, place: Waiting, row: Row) -> Json | None:
    """The target beside a labelled picture of the individual that it is called; None where there is none."""
    own = {one["media_id"] for one in rows_of_event(session, row["target_id"])}
    shown = next(
        (one for one in references(session, row, None, own) if one["individual_id"] == row["predicted_id"]), None
    )
    if shown is None or not shown["pictures"]:
        return None
    name, where = row["predicted_id"], _where(row)
    return {
        "kind": "pair",
        "target_id": row["target_id"],
        "where": where,
        "words": f"First: called {name} ({wording.percent(row['probability'])}) by the model. Second: {name} by a label.",
        "individual_id": name,
        "pair": [
            {"words": where, "picture": {**_pictures(row), "alt": f"{row['file'] or row['uri']}, {where}"}},
            {"words": shown["pictures"][0]["alt"], "picture": shown["pictures"][0]},
        ],
    }
