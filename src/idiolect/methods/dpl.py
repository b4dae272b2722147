"""DPL: differences along three fixed dimensions, summarized for the generator (arXiv 2503.02450, Figure 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from idiolect.methods.base import PromptFormat, Requirements
from idiolect.methods.comparing import ComparingMethod
from idiolect.methods.peer_comparison import Dimensions
from idiolect.methods.stages import ProfileState


class DPL(ComparingMethod):
    """Compare with peers on the same items, extract, summarize, write.

    The paper has no validator, so no model validates; the checks without a model are made unless
    ``StageConfig.use_validation`` is false. Arguments are those of ``ComparingMethod``; the default dimensions are
    ``fixed``: writing, emotional and semantic style.
    """

    requires: Requirements = Requirements(
        title="DPL",
        reads="past reviews, differences in words",
        about="Is shown past reviews and a description of how the user differs from others on the same items.",
        peers=True,
        measures=True,
        controls=("wrong user", "nearest twin"),  # what others wrote about an item has no difference to them
        roles=frozenset({"extractor", "summarizer", "generator"}),
        format=PromptFormat(template="dpl", profile="user"),
    )
    template: ClassVar[str] = "dpl"
    usual_dimensions: ClassVar[Dimensions] = "fixed"
    asks_validator: ClassVar[bool] = False

    def profile(self, compared: Sequence[ProfileState]) -> list[ProfileState]:
        """Extract, check, summarize."""
        claimed = self.extract(compared)
        return self.summarize(self.validate(claimed))
