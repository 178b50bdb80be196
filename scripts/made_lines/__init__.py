"""Made speech and singing by Kokoro: texts, melodies and where the parts come from. Used by recipes/made_singing.py."""
