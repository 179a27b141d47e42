"""Sweeps, and the agents that carry out their trials."""
