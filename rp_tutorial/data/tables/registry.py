"""Where tables of the insurance kind can come from by name: sources register themselves, beside their readers."""

from collections.abc import Callable

import pandas as pd

from rp_tutorial.core.registry import Registry

Reader = Callable[[], pd.DataFrame]
READERS: Registry[Reader] = Registry("data", "rp_tutorial.data.tables")  # by the name that `--data` takes


def table_source(name: str) -> Callable[[Reader], Reader]:
    """Registers a reader of a whole table, with BMI in the column `bmi`: `@table_source("mine")` above `def read()`.

    From then on `load_table`, every experiment on tables and the command line know it. Raises InputError for a taken
    name. A file of another shape needs no reader: a schema says what its columns are (`own.py`).
    """
    return READERS.registering(name, lambda read: read)


def table_sources() -> tuple[str, ...]:
    """Every named source; the path of a CSV file does as well."""
    return ("synthetic", *READERS)
