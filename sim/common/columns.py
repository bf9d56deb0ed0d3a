"""Columns of tables of any origin as numbers: the one place where their types are told apart."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sim.common.errors import InputError
from sim.common.text import reason

if TYPE_CHECKING:
    import pyarrow as pa


def numbers(column: "pa.ChunkedArray | pa.Array", name: str, path: Path) -> npt.NDArray[np.float64]:
    """Return an Arrow column of numbers, or of their texts, in float64; NaN where it is empty.

    Raises InputError that names the file and the column when it holds anything else.
    """
    import pyarrow as pa  # noqa: PLC0415 - only who reads tables needs it

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type):
        raise InputError(f"{path}: {name} is of type bool; readings are numbers")
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())  # from a decimal itself Arrow comes to the float beside the nearest one
    try:
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    except pa.ArrowException as error:
        raise InputError(f"{path}: {name}: {reason(error)}; readings are numbers") from None
