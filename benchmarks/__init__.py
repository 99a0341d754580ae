"""Measurements of speed: plain scripts, one table each."""
