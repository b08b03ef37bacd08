"""What is known of which pictures are of one individual: names and answers, and all that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scd_core.errors import InputError
from scd_core.inputs.pairs import PairAnswer

__all__ = ["Sameness"]


class Sameness:
    """Which pictures are one individual and which are not, as far as it is known.

    One individual is an equivalence: where A and B are one, and B and C, A and C are one too; and what differs from A differs
    from B. Pictures with one name are one individual, with two names two.

    Args:
        names: target_id -> name that a person gave.
        answers: of pairs of pictures.

    Raises:
        InputError: they contradict each other; the message gives the place.

    >>> known = Sameness({}, [PairAnswer("a", "b", True, "1"), PairAnswer("b", "c", False, "2")])
    >>> known("a", "b"), known("a", "c"), known("a", "d")
    (True, False, None)
    """

    def __init__(self, names: Mapping[str, str], answers: Iterable[PairAnswer]) -> None:
        self._parents: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._differ: set[frozenset[str]] = set()
        self._unclear: set[frozenset[str]] = set()
        given = list(answers)
        first_of: dict[str, str] = {}
        for target, name in names.items():
            self._join(target, first_of.setdefault(name, target))
        for name, target in first_of.items():
            self._names[self.root(target)] = name
        for answer in given:
            if answer.is_same:
                self._join_answer(answer)
        for answer in given:
            roots = frozenset((self.root(answer.first), self.root(answer.second)))
            if answer.is_same is None:
                self._unclear.add(frozenset((answer.first, answer.second)))
            elif not answer.is_same and len(roots) == 1:
                raise InputError(
                    f"{answer.where}: {answer.first} and {answer.second} are said to differ, but other answers or names "
                    "make them one individual; look at these pictures again, and change what is wrong"
                )
            elif not answer.is_same:
                self._differ.add(roots)

    def __call__(self, first: str, second: str) -> bool | None:
        """Whether two pictures are one individual; None where nothing says it."""
        one, other = self.root(first), self.root(second)
        if one == other:
            return True
        if one in self._names and other in self._names:
            return False
        return False if frozenset((one, other)) in self._differ else None

    def is_unclear(self, first: str, second: str) -> bool:
        """Whether a person could not see it."""
        return frozenset((first, second)) in self._unclear

    def root(self, target: str) -> str:
        """The picture that stands for all those that are known to be one individual with this one."""
        while (parent := self._parents.get(target, target)) != target:
            self._parents[target] = self._parents.get(parent, parent)
            target = parent
        return target

    def _join(self, first: str, second: str) -> str:
        one, other = sorted((self.root(first), self.root(second)))
        self._parents[other] = one
        return one

    def _join_answer(self, answer: PairAnswer) -> None:
        names = {self._names.pop(self.root(target), None) for target in (answer.first, answer.second)} - {None}
        if len(names) > 1:
            one, other = sorted(str(name) for name in names)
            raise InputError(
                f"{answer.where}: {answer.first} and {answer.second} are said to be one individual, but with the other answers "
                f"that makes {one!r} and {other!r} one; change the answer, or one of the names"
            )
        root = self._join(answer.first, answer.second)
        for name in names:
            self._names[root] = str(name)
