"""DRP: differences are extracted, validated and summarized for the generator (Chen et al. 2025, arXiv 2511.15389)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from idiolect.methods.base import PromptFormat, Requirements
from idiolect.methods.comparing import ComparingMethod
from idiolect.methods.peer_comparison import Dimensions
from idiolect.methods.stages import ProfileState


class DRP(ComparingMethod):
    """Compare with peers on the same items, extract, validate, summarize, write.

    Arguments are those of ``ComparingMethod``; the default dimensions are ``auto``: DPL's three, then whatever the
    texts show.
    """

    requires: Requirements = Requirements(
        title="DRP",
        reads="past reviews, differences, checked",
        about="As DPL, but each difference is checked against the texts before it is used.",
        peers=True,
        measures=True,
        controls=("wrong user", "nearest twin"),  # what others wrote about an item has no difference to them
        roles=frozenset({"extractor", "validator", "summarizer", "generator"}),
        format=PromptFormat(template="drp", profile="user"),
    )
    template: ClassVar[str] = "drp"
    usual_dimensions: ClassVar[Dimensions] = "auto"
    asks_validator: ClassVar[bool] = True

    def profile(self, compared: Sequence[ProfileState]) -> list[ProfileState]:
        """Extract, reflect, summarize."""
        claimed = self.extract(compared)
        reflected = self.validate(claimed)
        return self.summarize(reflected)
