"""Benchmarks: plain scripts that print one table each and can save its figures for the documentation."""
