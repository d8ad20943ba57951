"""`python -m tests.bench [training losses catalogue maps ...]`: ratios side by side, against goals."""

import importlib
import sys

NAMES = ("training", "losses", "catalogue", "maps", "pages", "emoji", "lab", "losses_page", "inspect", "zoo")


def main(asked: list[str]) -> int:
    unknown = [name for name in asked if name not in NAMES]
    if unknown:
        print(f"no benchmark '{unknown[0]}'; expected some of {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in asked or NAMES:
        for what, value, goal in importlib.import_module(f"tests.bench.{name}").run():
            print(f"{name:<9} {what:<52} {value:8.3f}   goal {goal}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
