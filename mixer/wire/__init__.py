"""What Mixer's callers send and get: istio.mixer.v1 messages, their dictionary, their compression. Pure."""
