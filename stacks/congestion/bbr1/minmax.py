"""A windowed maximum in constant space: the best three samples, which age in turn (lib/win_minmax.c)."""

from __future__ import annotations


class WindowedMax:
    """best: the largest value of the last `window` units of time, about. Times may only rise."""

    __slots__ = ("_second", "_third", "_times", "best", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.best = self._second = self._third = 0
        self._times = (0, 0, 0)

    def update(self, time: int, value: int) -> None:
        """A sample."""
        if value >= self.best or time - self._times[2] > self.window:
            self.best = self._second = self._third = value
            self._times = (time, time, time)
            return
        best_time, second_time, third_time = self._times
        if value >= self._second:
            self._second = self._third = value
            second_time = third_time = time
        elif value >= self._third:
            self._third = value
            third_time = time
        age = time - best_time
        if age > self.window:
            # Nothing as good in a whole window: the others move up, twice if the second is as old.
            self.best, self._second, self._third = self._second, self._third, value
            best_time, second_time, third_time = second_time, third_time, time
            if time - best_time > self.window:
                self.best, self._second, self._third = self._second, self._third, value
                best_time, second_time, third_time = second_time, third_time, time
        elif second_time == best_time and age > self.window // 4:
            # A quarter has passed without a second choice: take one from what came later.
            self._second = self._third = value
            second_time = third_time = time
        elif third_time == second_time and age > self.window // 2:
            self._third = value
            third_time = time
        self._times = (best_time, second_time, third_time)
