"""Convolutions and blurs in the form that a CPU computes fastest, in place of torch's own; no network knows of them."""

from viceversa.fast_cpu.accelerate import accelerate
from viceversa.fast_cpu.convolutions import fixed_weights

__all__ = ["accelerate", "fixed_weights"]
