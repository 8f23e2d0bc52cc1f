"""Evaluation: does a model find it, at any depth, at any length? Light to import."""
