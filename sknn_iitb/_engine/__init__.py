"""The network, its training loop, and the compiled kernels that both run on."""

__all__ = []
