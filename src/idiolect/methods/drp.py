"""DRP: differences that E finds and V reflects on, summarized by S for G (Chen et al. 2025, arXiv 2511.15389)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from idiolect.methods.base import Requirements
from idiolect.methods.comparing import ComparingMethod
from idiolect.methods.stages import Dimensions, Portrait


class DRP(ComparingMethod):
    """Compare with others on the same items, extract, validate, summarize, write.

    Arguments are those of ``ComparingMethod``; without ``dimensions`` they are ``auto``: DPL's three, then whatever the
    texts show.
    """

    requires: Requirements = Requirements(
        peers=True, roles=frozenset({"extractor", "validator", "summarizer", "generator"})
    )
    template: ClassVar[str] = "drp"
    usual_dimensions: ClassVar[Dimensions] = "auto"
    asks_validator: ClassVar[bool] = True

    def profile(self, compared: Sequence[Portrait]) -> list[Portrait]:
        """Extract, reflect, summarize."""
        claimed = self.extract(compared)
        reflected = self.validate(claimed)
        return self.summarize(reflected)
