"""Other people's clients and harnesses, in an environment of their own, against the served model."""
