"""Text to speech: speech.py (contract) and one file for each engine."""
