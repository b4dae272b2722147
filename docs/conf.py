"""Sphinx settings of the documentation site: `make docs` builds it into build/docs, without a network."""

from __future__ import annotations

import os

from idiolect.version import __version__

project = "idiolect"
author = "The idiolect authors"
copyright = "the idiolect authors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"idiolect {__version__}"
html_show_sphinx = False

# The published site has a folder per version, "stable" and "dev" (tools/publish_docs.py); its root lists them all.
if os.environ.get("IDIOLECT_DOCS_VERSIONED"):
    templates_path = ["_templates"]
    html_sidebars = {
        "**": [
            "sidebar/brand.html",
            "versions.html",
            "sidebar/search.html",
            "sidebar/scroll-start.html",
            "sidebar/navigation.html",
            "sidebar/scroll-end.html",
        ]
    }
