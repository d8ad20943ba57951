"""MovieLens-100k, fetched for the user after the terms were shown and accepted; it is never part of this project."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from core.data.ratings import BadRatings
from core.home import home

WHEEL, VERSION = "recbole", "1.2.1"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"
TERMS = (
    "MovieLens-100k belongs to GroupLens, University of Minnesota: it is for research, must not be redistributed or "
    "used commercially without their permission, and is to be cited as Harper and Konstan 2015, "
    "doi 10.1145/2827872; the full terms stand at grouplens.org/datasets/movielens/100k."
)


class TermsNotAccepted(BadRatings):
    """The terms, and how they are accepted."""


def kept() -> Path:
    """Where the file is kept on this machine: beside the user's own files, never in the project."""
    return home() / "data" / "movielens" / "ml-100k.inter"


def ratings_file(given: str, accepted: bool) -> Path:
    """The file of ratings to use: the user's own, else MovieLens-100k, fetched if its terms are accepted.

    Args:
        given: path of a file of the user's; empty for none.
        accepted: whether the user has accepted the terms.

    Raises:
        BadRatings: if a given file is not there, the terms are not accepted, or nothing could be fetched.
    """
    if given:
        path = Path(given).expanduser().resolve()
        if not path.is_file():
            raise BadRatings(f"{path} is no file; name ml-100k.zip, ml-1m.zip or a CSV of user,item,rating")
        return path
    if not accepted:
        raise TermsNotAccepted(
            f"no ratings were given. {TERMS} Give a file of yours with --ratings FILE, or accept these terms with "
            "--accept-terms, and it is fetched out of a public package into your own files"
        )
    return kept() if kept().exists() else fetch()


def fetch() -> Path:
    """Take MovieLens-100k out of the one public wheel that carries it; nothing of that wheel is installed or kept.

    Raises:
        BadRatings: if pip cannot fetch it, or it is not inside.
    """
    with tempfile.TemporaryDirectory() as place:
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        words += ["--only-binary", ":all:", "--dest", place, f"{WHEEL}=={VERSION}"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        wheels = list(Path(place).glob("*.whl"))
        if done.returncode or not wheels:
            said = next(iter(done.stderr.strip().splitlines()[::-1]), "no word from it")
            raise BadRatings(f"pip could not fetch {WHEEL} {VERSION} ({said}); give a file of yours with --ratings")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                content = wheel.read(MEMBER)
        except (KeyError, zipfile.BadZipFile) as error:
            raise BadRatings(f"{WHEEL} {VERSION} holds no {MEMBER}; give a file of yours with --ratings") from error
    target = kept()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(target)
    return target
