"""The Hugging Face Hub, the only talker to it; all it says is checked."""
