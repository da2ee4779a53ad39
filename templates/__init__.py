"""Jinja2 templates, one Slack message per kind of event. A package, so that the artifact carries them."""
