"""Which places of a queue wait for a person, after all that was answered since the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scd_core.audit.review.given import Given, GivenAnswers
from scd_core.audit.review.kept import SECOND_SHARE, Waiting
from scd_core.audit.review.queues import Queues, lot
from scd_core.label_names import LabelState, ReviewQueue

__all__ = ["waiting_for"]


def waiting_for(queues: Queues, given: GivenAnswers, queue: str, who: str) -> list[Waiting] | None:
    """The places of a queue that wait for a person, in their order.

    - a second reading waits for everybody but the first reader, until one has given it;
    - a disagreement waits until somebody decides it in its own queue;
    - everything else waits until somebody has answered, second readers aside.

    Args:
        queues: the queues.
        given: what was answered since the report.
        queue: the queue.
        who: the person.

    Returns:
        The places; None where they are still to be looked for.

    Raises:
        InputError: there is no such queue.
    """
    waiting = queues.waiting(queue)
    if waiting is None:
        return None
    more: list[Waiting] = []
    if queue == ReviewQueue.SECOND:
        more = _new_second(queues, given)
    elif queue == ReviewQueue.DISAGREEMENTS:
        more = _new_disagreements(queues, given)
    kept = {one.target_id for one in waiting}
    together = waiting + [one for one in more if one.target_id not in kept]
    return [one for one in together if not _is_done(one, given.of(one.media_id, one.detection_id), who)]


def _is_done(one: Waiting, answers: list[Given], who: str) -> bool:
    if one.queue == ReviewQueue.SECOND:
        readers = {one.labelled_by, *(given.who for given in answers)}
        return who in readers or len(readers) > 1
    if one.queue == ReviewQueue.DISAGREEMENTS:
        return any(given.review_queue == ReviewQueue.DISAGREEMENTS for given in answers)
    return any(given.review_queue != ReviewQueue.SECOND for given in answers)


def _new_second(queues: Queues, given: GivenAnswers) -> list[Waiting]:
    """Of what one person alone has answered since the report, the share for a second reader."""
    found = []
    for place, answers in _answered(queues, given):
        if len(answers) == 1 and answers[0].name != LabelState.BLANK and _lot(place) < SECOND_SHARE:
            one = _without_draw(place, ReviewQueue.SECOND, "a second reading", answers[0].name)
            found.append(replace(one, labelled_by=answers[0].who))
    return sorted(found, key=lambda one: (_lot(one), one.target_id))


def _lot(place: Waiting) -> float:
    return lot(place.content_number, place.target_id)


def _new_disagreements(queues: Queues, given: GivenAnswers) -> list[Waiting]:
    """What two people have named differently since the report, or one since and one in a first reading before."""
    first = {one.target_id: one for one in queues.waiting(ReviewQueue.SECOND) or ()}
    found = []
    for place, answers in _answered(queues, given):
        names = {one.who: one.name for one in answers}
        reading = first.get(place.target_id)
        if reading is not None and reading.labelled_by not in names:
            names[reading.labelled_by] = reading.group_id or ""
        if len(set(names.values())) > 1:
            one = _without_draw(place, ReviewQueue.DISAGREEMENTS, "two people name it differently", None)
            said = tuple(sorted(f"{who or 'somebody'}: {name}" for who, name in names.items()))
            found.append(replace(one, said=said))
    return found


def _without_draw(place: Waiting, queue: str, reason: str, group_id: str | None) -> Waiting:
    return replace(place, queue=queue, reason=reason, group_id=group_id, queue_probability=None)


def _answered(queues: Queues, given: GivenAnswers) -> Iterator[tuple[Waiting, list[Given]]]:
    """Every target that was met and answered since the report, with its answers."""
    for media_id, detection_id in given.targets():
        place = queues.place_at(media_id, detection_id)
        if place is not None:
            yield place, given.of(media_id, detection_id)
