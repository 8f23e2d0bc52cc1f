"""The same run with VeOmni: its arguments, and an adapter that runs in its environment."""
