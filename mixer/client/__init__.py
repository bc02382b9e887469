"""Mixer for programs that ask and tell by themselves: see `client.MixerClient`; docs/mixer.md has an example."""

from mixer.client.client import Decision, MixerClient, MixerUnavailableError

__all__ = ["Decision", "MixerClient", "MixerUnavailableError"]
