"""From the params of a data set to the data set, loaded once a process."""

from functools import lru_cache

from core.data.registry import DATA, DataSet
from core.params import Params


@lru_cache(maxsize=8)
def load(p: Params) -> DataSet:
    """The data set that these params describe; its tensors are shared, so nobody may change them in place.

    Raises:
        Refusal: if the params describe none, for example a file that is not there.
    """
    return DATA.of(p).call(p)
