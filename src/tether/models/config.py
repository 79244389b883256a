"""What the `model:` key of a config may say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelConfig(BaseModel):
    """A pretrained model by name or folder.

    Attributes:
        name: a packaged name, a folder (a saved model or a tether run), or a hub name.
        source: the library that reads it; "auto" finds out.
        pooling: "mean" or "head" for text (see TextBackbone); "auto" takes what the folder says.
        max_length: tokens kept of a text; null takes the smaller of the model's limit and 128.
        revision: a hub revision.
        image_size: side in pixels that pictures are resized to when the data do not say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    source: Literal["auto", "packaged", "transformers", "run"] = "auto"
    pooling: Literal["auto", "mean", "head"] = "auto"
    max_length: int | None = Field(default=None, ge=4)
    revision: str | None = None
    image_size: int = Field(default=224, ge=8, le=4096)
