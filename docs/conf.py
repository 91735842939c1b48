"""How Sphinx builds the manual: `make docs` writes it to docs/_build."""

from satsuma.version import __version__

project = "Satsuma"
author = "The Satsuma authors"
copyright = "The Satsuma authors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Satsuma {__version__}"
html_theme_options = {"light_css_variables": {"color-brand-primary": "#b8500a", "color-brand-content": "#b8500a"}}
html_copy_source = False
pygments_style = "friendly"
trim_doctest_flags = True

autodoc_typehints = "none"  # the signatures would be longer than what they say; editors show the types
autodoc_member_order = "bysource"
autodoc_default_options = {"members": False}
