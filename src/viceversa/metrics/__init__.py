"""Figures for pictures."""

from viceversa.metrics.paired import l1, psnr

__all__ = ["METRICS", "l1", "psnr"]

METRICS = {"psnr": psnr, "l1": l1}
