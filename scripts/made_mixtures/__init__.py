"""Mixtures of sung voice and made backing whose parts are known. Used by recipes/vocal_refiner.py."""
