"""What every section of `edgewise.yaml` is made of: its numbers, names and secrets."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgewise.errors import UsageError
from edgewise.units import parse_bytes


def _size(value: Any) -> int:
    try:
        return parse_bytes(value)
    except UsageError as wrong:
        raise ValueError(wrong.what) from wrong


Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=str | int), Field(gt=0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Usd = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
URL_PATTERN = r"^https?://[^\s/]"
Url = Annotated[str, Field(pattern=URL_PATTERN)]


def _once(names: list[str]) -> list[str]:
    twice = [name for at, name in enumerate(names) if name in names[:at]]
    if twice:
        raise ValueError(f"`{twice[0]}` is given twice")
    return names


Names = Annotated[list[str], AfterValidator(_once)]


class Section(BaseModel):
    """A part of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=False)


class InCurrency(Section):
    """A part of a file that says what its money is."""

    currency: str = Field("USD", description="of every `usd` in this file")
    usd_per_unit: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = Field(
        None, description="of another currency"
    )

    @model_validator(mode="after")
    def _rated(self) -> Self:
        if self.currency != "USD" and self.usd_per_unit is None:
            raise ValueError(f"{self.currency} needs usd_per_unit, the USD that one of it is worth")
        if self.currency == "USD" and self.usd_per_unit not in (None, 1.0):
            raise ValueError("usd_per_unit is for another currency: name it under currency")
        return self


class ApiKey(Section):
    """Where a secret is read from; never the secret."""

    env: str | None = Field(None, description="name of a variable")
    file: str | None = Field(None, description="path of a file")

    @model_validator(mode="after")
    def _one(self) -> "ApiKey":
        if (self.env is None) == (self.file is None):
            raise ValueError("give either `env` or `file`")
        return self
