"""DPL: differences along three fixed dimensions, summarized for the writer (arXiv 2503.02450, Figure 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from idiolect.methods.base import Requirements
from idiolect.methods.comparing import ComparingMethod
from idiolect.methods.stages import Dimensions, Portrait


class DPL(ComparingMethod):
    """Compare with others on the same items, extract, summarize, write.

    The paper has no validator, so no model is asked to be one; the checks that cost no call are made unless they are
    switched off (``StageConfig.use_validation``). Arguments are those of ``ComparingMethod``; without ``dimensions``
    they are ``fixed``: writing, emotional and semantic style.
    """

    requires: Requirements = Requirements(peers=True, roles=frozenset({"extractor", "summarizer", "generator"}))
    template: ClassVar[str] = "dpl"
    usual_dimensions: ClassVar[Dimensions] = "fixed"
    asks_validator: ClassVar[bool] = False

    def profile(self, compared: Sequence[Portrait]) -> list[Portrait]:
        """Extract, check, summarize."""
        claimed = self.extract(compared)
        return self.summarize(self.validate(claimed))
