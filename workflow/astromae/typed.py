"""What all typed settings have in common."""

from pydantic import BaseModel, ConfigDict


class Typed(BaseModel):
    """Settings that refuse unknown keys and values of another type, and do not change once they are made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
