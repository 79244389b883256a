"""What the `model:` key of a config may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tether.models.zero_shot import TEMPLATES


class ModelConfig(BaseModel):
    """A pretrained model by name or folder.

    Attributes:
        name: a packaged name, a folder (a saved model or a tether run), a hub name, or a timm or open_clip
            name with that source.
        source: the library that reads it; "auto" finds out from the folder, and takes transformers for a
            hub name.
        pooling: "mean", "cls" or "head" (see TextBackbone, TransformersImages); "auto" takes what the model
            was made for.
        head: where the initial head comes from: "probe", "zero_shot" or "map" (METHODS 1.2); "auto" takes
            the model's own head if it has the task's classes, else zero-shot if there is a text tower, else
            a linear probe.
        templates: prompts for the zero-shot head, {} stands for the class name.
        map: for head "map": class -> classes of the model's own head.
        max_length: tokens kept of a text; null takes the smaller of the model's limit and 128.
        revision: a hub revision.
        image_size: side in pixels that pictures are resized to when the data do not say; null takes the side
            that the model was made for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    source: Literal["auto", "packaged", "transformers", "timm", "openclip", "run"] = "auto"
    pooling: Literal["auto", "mean", "cls", "head"] = "auto"
    head: Literal["auto", "probe", "zero_shot", "map"] = "auto"
    templates: tuple[str, ...] = TEMPLATES
    map: Mapping[str, tuple[str, ...]] | None = None
    max_length: int | None = Field(default=None, ge=4)
    revision: str | None = None
    image_size: int | None = Field(default=None, ge=8, le=4096)

    @field_validator("templates")
    @classmethod
    def _have_a_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        if not templates or any("{}" not in t for t in templates):
            raise ValueError("expected texts with {} where the class name goes")
        return templates

    @model_validator(mode="after")
    def _map_with_its_head(self) -> ModelConfig:
        if (self.head == "map") != (self.map is not None):
            raise ValueError("head: map and map: {class: [classes of the model]} belong together")
        return self
