"""What every part of a scenario file is made of."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

NULL_WORDS = ("null", "nan", "none", "na", "nil")
"""What readers of tables take for an empty cell, in whatever case."""


def no_null_word(name: str) -> str:
    """Return a name that stays one when tables are read. Raises ValueError for others."""
    if name.lower() in NULL_WORDS:
        raise ValueError("readers of tables take this word for an empty cell; choose another name")
    return name


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64), AfterValidator(no_null_word)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the file: unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=False)
