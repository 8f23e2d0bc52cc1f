"""The trainer's sub-commands of ``mmprolong``."""
