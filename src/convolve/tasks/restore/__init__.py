"""Restoration: a sharp, large or clean image from a blurred, small or noisy one."""
