"""Compiled code: the only package that knows Numba."""

__all__ = []
