"""Engines: ways to run the slices of a frozen plan, on this machine or on many."""
