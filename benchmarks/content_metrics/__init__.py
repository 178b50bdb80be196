"""What content frames keep and what they leak: recordings, forms of encoders and measures, shared by benchmarks."""
