"""The demo songs: scores, a singing engine, a backing band and a mixer. Used by `scripts/make_demo_songs.py` only."""
