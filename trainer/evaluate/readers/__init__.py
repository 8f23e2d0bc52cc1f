"""Suites from files, each the way its authors publish it."""
