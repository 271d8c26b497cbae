"""The house: who runs, in which order, and what happens when somebody falls."""
