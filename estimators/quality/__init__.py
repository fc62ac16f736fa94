"""What precision, pruning and model size cost in quality: published evidence, never a guess."""
