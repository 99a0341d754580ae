"""Compiled code; the only package that imports Numba."""

__all__ = []
