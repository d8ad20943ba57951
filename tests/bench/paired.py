"""Two things measured side by side: interleaved rounds, CPU time, the median of the per-round ratios."""

import statistics
import time
from collections.abc import Callable

ROUNDS = 5


def ratio(
    one: Callable[[], object], other: Callable[[], object], *, times: tuple[int, int] = (1, 1), rounds: int = ROUNDS
) -> float:
    """CPU seconds of one call of `one` over those of `other`, each called `times` a round, after one warm-up."""
    found = []
    for number in range(rounds + 1):
        spent = []
        for call, count in zip((one, other), times, strict=True):
            started = time.process_time()
            for _ in range(count):
                call()
            spent.append((time.process_time() - started) / count)
        if number:
            found.append(spent[0] / spent[1])
    return statistics.median(found)


def seconds(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median CPU seconds of one call, after one warm-up."""
    found = []
    for number in range(rounds + 1):
        started = time.process_time()
        call()
        if number:
            found.append(time.process_time() - started)
    return statistics.median(found)
