"""Benchmarks: plain scripts that print one table each."""
