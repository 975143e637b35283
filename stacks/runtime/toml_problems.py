"""What is wrong with a configuration, all of it at once, each with its line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stacks.runtime.errors import LocalError
from stacks.runtime.toml_places import Place, line_of
from transports.errors import TransportError


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that cannot be: the line where it is said, 0 where nothing is in lines, and what to do about it."""

    line: int
    text: str


class ConfigurationError(LocalError):
    """A configuration that cannot be. problems: in the order of their lines; name: of the document, empty for none."""

    def __init__(self, problems: Sequence[Problem], name: str = "") -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        self.name = name
        more = len(self.problems) - 1
        rest = f" (and {more} more mistake{'s' if more > 1 else ''})" if more else ""
        super().__init__(f"{self.lines[0]}{rest}")

    @property
    def lines(self) -> list[str]:
        """Each problem as a line for a person, with its place."""
        return [f"{self._where(problem)}{problem.text}" for problem in self.problems]

    def _where(self, problem: Problem) -> str:
        if not self.name:
            return ""
        return f"{self.name}:{problem.line}: " if problem.line else f"{self.name}: "


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a configuration is from. name: of its document, as messages call it; lines: of its places."""

    name: str = ""
    lines: Mapping[Place, int] = field(default_factory=dict)

    def error(self, found: Sequence[tuple[Place, str]]) -> ConfigurationError:
        """What to raise for (place, what is wrong and what to do) pairs."""
        return ConfigurationError([Problem(self._line(place), text) for place, text in found], self.name)

    @contextlib.contextmanager
    def at(self, place: Place) -> Iterator[None]:
        """Give what the block raises the line of a place, unless it has one, or there are no lines."""
        try:
            yield
        except ConfigurationError:
            raise
        except (LocalError, TransportError) as error:
            if not self.name:
                raise
            raise self.error([(place, str(error))]) from error

    def _line(self, place: Place) -> int:
        return line_of(self.lines, place) if self.name else 0
