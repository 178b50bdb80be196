"""Voices of other programs, opened as voices of ours: one file per family, `opening.import_voice` chooses."""
