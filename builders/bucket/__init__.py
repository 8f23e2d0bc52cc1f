"""Builds whose output is a URL: machines that share nothing but a bucket."""
