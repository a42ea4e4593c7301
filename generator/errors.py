"""What can go wrong by the user's hand: one line each, and the exit code that goes with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

FAILED, SPEC, PAST_BUDGET = 1, 2, 3  # exit codes; 0 is good, 130 is an interrupt
LIKE, SHORT_LIKE = 0.6, 0.7  # of 1: how like a name has to be to be offered in place of a wrong one, of a wrong short one
SHORT = 5  # letters: half of so few are alike by chance
BEGUN = 3  # letters of a name that, written alone, may have been meant for the whole


class AtlasError(Exception):
    """A mistake that is not ours: printed as it stands, without a traceback."""

    exit_code = FAILED

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each mistake."""
        return (str(self),)


class SpecError(AtlasError):
    """Everything that is wrong with a spec, at once; each line begins `file:line:column: key:`."""

    exit_code = SPEC

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[str, ...]]]:
        """Another process raises the same."""
        return type(self), (self.problems,)

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems, a line each."""
        return self.problems


class ModelError(AtlasError):
    """A model or a checkpoint that cannot be loaded as the spec says."""

    exit_code = SPEC


class LayerError(AtlasError):
    """A layer or neuron that is not in the model."""

    exit_code = SPEC


class ImagesError(AtlasError):
    """A folder or archive of images that cannot be used at all; a single file never is."""

    exit_code = SPEC


class RefusedError(AtlasError):
    """An operation on the way between two layers that cannot be made linear; names the module and what to do."""

    exit_code = SPEC


class BudgetError(AtlasError):
    """A site that will be past the limits of its spec; each line begins `file:line:column: budget.`."""

    exit_code = PAST_BUDGET

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    @property
    def lines(self) -> tuple[str, ...]:
        """The limits, a line each."""
        return self.problems


def nearest(wrong: str, names: Iterable[str], count: int = 3) -> str:
    """`; nearest: a, b` for the names most like `wrong`, then those that begin with it; or an empty string."""
    known = list(names)
    close = difflib.get_close_matches(wrong, known, count, LIKE if len(wrong) > SHORT else SHORT_LIKE)
    begun = [name for name in known if len(wrong) >= BEGUN and name.startswith(wrong)]
    close = list(dict.fromkeys([*close, *begun]))[:count]
    return f"; nearest: {', '.join(close)}" if close else ""
