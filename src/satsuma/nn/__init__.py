"""Layers and models, each readable alone."""
