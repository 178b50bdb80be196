"""Voices of ours in the layouts of other programs: one file per family, `writing.export_voice` chooses."""
